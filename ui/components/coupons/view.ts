import type { Json } from "../../bridge/protocol";
import { flag, list, number, text, texts } from "../../bridge/read";
import { type Product, readProduct } from "../../design/product";

export interface Coupon {
  id: string;
  title: string | undefined;
  description: string | undefined;
  category: string | undefined;
  value: number | undefined;
  /** Its last day by the store's calendar, else the moment when it ends. */
  until: string | undefined;
  daysLeft: number | undefined;
  clipped: boolean;
  products: number;
}

export interface CouponsView {
  canClip: boolean;
  coupons: Coupon[];
  offers: Product[];
}

export function readCoupons(raw: Json): CouponsView {
  const coupons = list(raw, "coupons", readCoupon);
  // The server gives those first that end first, and so what is over before all.
  const inOrder = [...coupons.filter((coupon) => !isOver(coupon)), ...coupons.filter(isOver)];
  return { canClip: flag(raw, "can_clip") === true, coupons: inOrder, offers: list(raw, "offers", readProduct) };
}

function readCoupon(raw: Json): Coupon | null {
  const id = text(raw, "coupon_id");
  if (id === undefined) return null;
  return {
    id,
    title: text(raw, "title"),
    description: text(raw, "description"),
    category: text(raw, "category"),
    value: number(raw, "value"),
    until: text(raw, "last_day") ?? text(raw, "expires_at"),
    daysLeft: number(raw, "days_left"),
    clipped: flag(raw, "clipped") === true,
    products: texts(raw, "product_ids").length,
  };
}

export function isOver({ daysLeft }: Coupon): boolean {
  return daysLeft !== undefined && daysLeft < 0;
}

export function categoriesOf(coupons: readonly Coupon[], locale: string): string[] {
  const all = new Set(coupons.map((coupon) => coupon.category).filter((category) => category !== undefined));
  return [...all].sort((a, b) => a.localeCompare(b, locale));
}

/** Whether the coupon has all the words in its texts. */
export function fits(coupon: Coupon, words: string): boolean {
  const within = [coupon.title, coupon.description, coupon.category].join(" ").toLocaleLowerCase();
  return words.toLocaleLowerCase().split(/\s+/).every((word) => within.includes(word));
}
