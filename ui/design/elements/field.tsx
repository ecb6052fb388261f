// Form fields. Sandboxed frames may not submit forms, so Enter is heard here.

import type { ComponentChildren } from "preact";
import { useEffect, useId, useState } from "preact/hooks";
import { useLanguage } from "../../bridge/hooks";
import { Button } from "./button";

export interface InputProps {
  label: string;
  value: string;
  change(value: string): void;
  enter?(): void;
  kind?: "text" | "date" | "password";
  mode?: "numeric" | "decimal" | "search";
  placeholder?: string | undefined;
  help?: string | undefined;
  wrong?: string | undefined;
  required?: boolean;
  min?: string | undefined;
  max?: string | undefined;
  /** The label is for screen readers only. */
  bare?: boolean;
  longest?: number;
}

export function Input(props: InputProps) {
  const id = useId();
  const { label, value, help, wrong, kind = "text" } = props;
  const described = describing(id, help, wrong);
  return (
    <div class="field">
      <label for={id} class={props.bare ? "unseen" : ""}>
        {label}
      </label>
      <input
        id={id}
        class="input"
        type={kind as "text"}
        inputMode={props.mode}
        value={value}
        min={props.min}
        max={props.max}
        maxLength={props.longest}
        placeholder={props.placeholder}
        autocomplete={kind === "password" ? "current-password" : "off"}
        aria-required={props.required || undefined}
        aria-invalid={wrong ? true : undefined}
        aria-describedby={described || undefined}
        onInput={(event) => props.change(event.currentTarget.value)}
        onKeyDown={(event) => event.key === "Enter" && !event.isComposing && props.enter?.()}
      />
      <Hints id={id} help={help} wrong={wrong} />
    </div>
  );
}

/** The ids of the hints that there are. */
export function describing(id: string, help: string | undefined, wrong: string | undefined): string {
  return [help && `${id}-help`, wrong && `${id}-wrong`].filter(Boolean).join(" ");
}

export function Hints({ id, help, wrong }: { id: string; help?: string | undefined; wrong?: string | undefined }) {
  return (
    <>
      {help && (
        <p class="small soft" id={`${id}-help`}>
          {help}
        </p>
      )}
      {wrong && (
        <p class="wrong" id={`${id}-wrong`}>
          {wrong}
        </p>
      )}
    </>
  );
}

export interface Option {
  value: string;
  label: string;
}

export interface SelectProps {
  label: string;
  value: string;
  options: Option[];
  change(value: string): void;
  help?: string | undefined;
  wrong?: string | undefined;
  required?: boolean;
}

export function Select({ label, value, options, change, help, wrong, required = false }: SelectProps) {
  const id = useId();
  const described = describing(id, help, wrong);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select
        id={id}
        class="input"
        value={value}
        aria-required={required || undefined}
        aria-invalid={wrong ? true : undefined}
        aria-describedby={described || undefined}
        onChange={(event) => change(event.currentTarget.value)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value} selected={option.value === value}>
            {option.label}
          </option>
        ))}
      </select>
      <Hints id={id} help={help} wrong={wrong} />
    </div>
  );
}

interface CheckProps {
  checked: boolean;
  change(checked: boolean): void;
  name?: string;
  /** The ids of what is said to it. */
  described?: string | undefined;
  wrong?: boolean;
  children?: ComponentChildren;
}

export function Check({ checked, change, name, described, wrong = false, children }: CheckProps) {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={checked}
        aria-label={name}
        aria-invalid={wrong || undefined}
        aria-describedby={described || undefined}
        onChange={(event) => change(event.currentTarget.checked)}
      />
      {children !== undefined && <span>{children}</span>}
    </label>
  );
}

/** One of a few, side by side. */
export function Choices({ label, value, options, change }: { label: string; value: string; options: Option[]; change(value: string): void }) {
  const name = useId();
  return (
    <fieldset class="field">
      <legend class="legend">{label}</legend>
      <div class="choices">
        {options.map((option) => (
          <label key={option.value}>
            <input type="radio" name={name} checked={option.value === value} onChange={() => change(option.value)} />
            <span>{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

const MOST = 99;

/** A quantity, 1 to 99. */
export function Quantity({ of, value, change, off = false }: { of: string; value: number; change(value: number): void; off?: boolean }) {
  const { t } = useLanguage();
  const [typed, setTyped] = useState(String(value));
  useEffect(() => setTyped(String(value)), [value]);
  const set = (wanted: number): void => {
    // What is less than one, or no whole number, is a slip: the quantity stays what it was.
    const next = Number.isInteger(wanted) && wanted >= 1 ? Math.min(MOST, wanted) : value;
    setTyped(String(next));
    if (next !== value && !off) change(next);
  };
  return (
    <div class="quantity" role="group" aria-label={t("common.quantity_of", { name: of })}>
      <Button icon="minus" look="quiet" name={t("common.fewer", { name: of })} off={off || value <= 1} press={() => set(value - 1)} />
      <input
        class="input"
        inputMode="numeric"
        autocomplete="off"
        maxLength={3}
        aria-label={t("common.quantity_of", { name: of })}
        readOnly={off}
        value={typed}
        onInput={(event) => setTyped(event.currentTarget.value)}
        onBlur={() => set(Number(typed))}
        onKeyDown={(event) => event.key === "Enter" && set(Number(typed))}
      />
      <Button icon="plus" look="quiet" name={t("common.more", { name: of })} off={off || value >= MOST} press={() => set(value + 1)} />
    </div>
  );
}
