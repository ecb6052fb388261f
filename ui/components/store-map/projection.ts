// From degrees to places on the drawing. Over the distances of a store finder the earth is flat enough.

import type { Point } from "./view";

export const WIDTH = 640;
export const HEIGHT = 420;
const MARGIN = 44;
const MILES_A_DEGREE = 69.05;
/** The drawing never shows less, in miles: one store alone would fill it. */
const LEAST_MILES = 0.5;

export interface Projection {
  place(point: Point): { x: number; y: number };
  /** Units of the drawing in a mile. */
  scale: number;
}

export function project(points: readonly Point[]): Projection | null {
  if (points.length === 0) return null;
  const latitudes = points.map((point) => point.latitude);
  const middle = (Math.min(...latitudes) + Math.max(...latitudes)) / 2;
  const narrow = Math.max(0.01, Math.cos((middle * Math.PI) / 180));
  const first = points[0]?.longitude ?? 0;
  const flat = (point: Point) => ({ x: around(point.longitude - first) * narrow * MILES_A_DEGREE, y: -(point.latitude - middle) * MILES_A_DEGREE });
  const places = points.map(flat);
  const [left, right] = [Math.min(...places.map(({ x }) => x)), Math.max(...places.map(({ x }) => x))];
  const [upper, lower] = [Math.min(...places.map(({ y }) => y)), Math.max(...places.map(({ y }) => y))];
  const scale = Math.min((WIDTH - 2 * MARGIN) / Math.max(LEAST_MILES, right - left), (HEIGHT - 2 * MARGIN) / Math.max(LEAST_MILES, lower - upper));
  const centre = { x: (left + right) / 2, y: (upper + lower) / 2 };
  return {
    scale,
    place: (point) => {
      const { x, y } = flat(point);
      return { x: WIDTH / 2 + (x - centre.x) * scale, y: HEIGHT / 2 + (y - centre.y) * scale };
    },
  };
}

/** The shorter way around the earth. */
function around(degrees: number): number {
  return ((degrees + 540) % 360) - 180;
}

/** The longest round distance that a bar of at most `most` units shows. */
export function scaleBar(scale: number, most: number): { miles: number; length: number } {
  const wanted = most / scale;
  const power = 10 ** Math.floor(Math.log10(wanted));
  const step = [5, 2, 1].find((step) => step * power <= wanted) ?? 1;
  return { miles: step * power, length: step * power * scale };
}
