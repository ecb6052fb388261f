// Buttons. One that works on something stays where it is and keeps the focus; it only does nothing.

import type { ComponentChildren, Ref } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { httpsOnly } from "../../bridge/bridge";
import { useLanguage, useRuntime } from "../../bridge/hooks";
import { Icon, type IconName } from "./icon";

export interface ButtonProps {
  children?: ComponentChildren;
  icon?: IconName;
  /** The whole name, where the words inside do not tell what the button is about. */
  name?: string | undefined;
  look?: "plain" | "primary" | "quiet" | "danger";
  busy?: boolean;
  off?: boolean;
  pressed?: boolean;
  expanded?: boolean;
  press(): void;
  reference?: Ref<HTMLButtonElement>;
}

export function Button(props: ButtonProps) {
  const { children, icon, name, look = "plain", busy = false, off = false } = props;
  const alone = children === undefined;
  return (
    <button
      type="button"
      ref={props.reference ?? null}
      class={`button ${look}${alone ? " icon" : ""}`}
      aria-label={name}
      aria-busy={busy || undefined}
      aria-disabled={off || undefined}
      aria-pressed={props.pressed}
      aria-expanded={props.expanded}
      onClick={() => !busy && !off && props.press()}
    >
      {busy ? <span class="spinner" aria-hidden="true" /> : icon !== undefined && <Icon name={icon} />}
      {children}
    </button>
  );
}

/** Opens a page elsewhere, through the host. There is no button for what is not https. */
export function LinkButton({ url, children, look = "plain" }: { url: string | undefined; children: ComponentChildren; look?: "plain" | "primary" | "quiet" }) {
  const runtime = useRuntime();
  const [refused, setRefused] = useState(false);
  const safe = url === undefined ? null : httpsOnly(url);
  if (safe === null) return null;
  const press = async (): Promise<void> => setRefused(!(await runtime.open(safe)));
  return (
    <>
      <Button look={look} icon="out" press={() => void press()}>
        {children}
      </Button>
      {refused && (
        <p class="small" role="alert">
          {runtime.state.language.t("common.link_refused", { url: safe })}
        </p>
      )}
    </>
  );
}

export interface ConfirmProps {
  /** The button that asks. */
  label: string;
  name?: string;
  question: string;
  yes: string;
  busy?: boolean;
  icon?: IconName;
  press(): void;
}

/** A button that asks before it does. Dialogs are barred in sandboxed frames, so it asks in its place. */
export function Confirm({ label, name, question, yes, busy = false, icon, press }: ConfirmProps) {
  const { t } = useLanguage();
  const [open, setOpen] = useState(false);
  const [back, setBack] = useState(false);
  const first = useRef<HTMLButtonElement>(null);
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (open) keep.current?.focus();
    else if (back) first.current?.focus();
  }, [open, back]);
  const close = (): void => {
    setBack(true);
    setOpen(false);
  };
  if (!open) {
    const drawing = icon === undefined ? {} : { icon };
    return (
      <Button look="quiet" name={name} busy={busy} press={() => setOpen(true)} reference={first} {...drawing}>
        {label}
      </Button>
    );
  }
  return (
    <div class="confirm" role="group" aria-label={question} onKeyDown={(event) => event.key === "Escape" && close()}>
      <p>{question}</p>
      <Button
        look="danger"
        press={() => {
          close();
          press();
        }}
      >
        {yes}
      </Button>
      <Button press={close} reference={keep}>
        {t("common.keep")}
      </Button>
    </div>
  );
}
