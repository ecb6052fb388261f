// What stands where there is no view, or beside one: waiting, failed, stale, signed out, how a call went.

import type { ComponentChildren } from "preact";
import { type Calls, type Progress, useLanguage, useRuntime } from "../../bridge/hooks";
import type { Failure } from "../../bridge/outcome";
import type { Json } from "../../bridge/protocol";
import { Button, LinkButton } from "./button";
import { Icon, type IconName } from "./icon";

export function Waiting() {
  const { t } = useLanguage();
  return (
    <div class="waiting">
      <p class="row soft">
        <span class="spinner" aria-hidden="true" />
        <span>{t("common.waiting")}</span>
      </p>
      <div class="bone" aria-hidden="true" />
      <div class="bone" aria-hidden="true" />
    </div>
  );
}

export function Failed({ failure, retry }: { failure: Failure; retry: ComponentChildren }) {
  const { t } = useLanguage();
  const isUnknown = failure.kind === "unknown";
  return (
    <div class={`notice ${LOOKS[failure.kind]}`} role="alert">
      <p class="strong">{t(isUnknown ? "common.unknown" : "common.failed_page")}</p>
      {failure.text !== "" && <p>{failure.text}</p>}
      <SignIn url={failure.signInUrl} />
      {retry}
    </div>
  );
}

/** `isUnknown`: it was to change something, and perhaps did before it was cancelled. */
export function Cancelled({ isUnknown, retry }: { isUnknown: boolean; retry: ComponentChildren }) {
  const { t } = useLanguage();
  return (
    <Empty icon="cross" text={t("common.cancelled")}>
      {isUnknown && <p>{t("common.unknown")}</p>}
      {retry}
    </Empty>
  );
}

/** `isOther`: it asks something else than what was called. */
export function Retry({ again, isOther }: { again(): void; isOther: boolean }) {
  const { t } = useLanguage();
  return (
    <div>
      <Button icon="again" press={again}>
        {t(isOther ? "common.look" : "common.retry")}
      </Button>
    </div>
  );
}

export function Alone() {
  const { t } = useLanguage();
  return <Empty icon="warn" text={t("common.alone")} />;
}

export function Empty({ icon, text, children }: { icon: IconName; text: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <span class="mark" aria-hidden="true">
        <Icon name={icon} />
      </span>
      <p>{text}</p>
      {children}
    </div>
  );
}

/** How old the data is, where the source did not answer. */
export function Stale({ seconds }: { seconds: number }) {
  const { t } = useLanguage();
  const minutes = Math.max(1, Math.round(seconds / 60));
  const words = minutes < 120 ? t("common.stale_minutes", { count: minutes }) : t("common.stale_hours", { count: Math.round(minutes / 60) });
  return (
    <div class="notice warning">
      <p>{words}</p>
    </div>
  );
}

export function Notes({ notes }: { notes: string[] }) {
  const { t } = useLanguage();
  if (notes.length === 0) return null;
  return (
    <ul class="notes" aria-label={t("common.notes")}>
      {notes.map((note, index) => (
        <li key={index}>{note}</li>
      ))}
    </ul>
  );
}

export function SignIn({ url }: { url: string | undefined }) {
  const { t } = useLanguage();
  return (
    <LinkButton url={url} look="primary">
      {t("common.sign_in")}
    </LinkButton>
  );
}

const LOOKS = { done: "success", failed: "danger", unknown: "warning" } as const;

/** How the last call of a part went. The page's live region has said it already. */
export function How({ progress }: { progress: Progress }) {
  if (progress.state === "idle" || progress.state === "busy" || progress.text === "") return null;
  return (
    <div class={`notice ${LOOKS[progress.state]} small`}>
      <p>{progress.text}</p>
      <SignIn url={progress.signInUrl} />
    </div>
  );
}

export function Heading({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <header class="row apart">
      <h1>{title}</h1>
      {children !== undefined && <div class="row">{children}</div>}
    </header>
  );
}

export function Reload({ busy, press }: { busy: boolean; press(): void }) {
  const { t } = useLanguage();
  return (
    <Button icon="again" busy={busy} press={press}>
      {t("common.reload")}
    </Button>
  );
}

/** Asks the page's own tool for `args` again; `atStore` as in `Call`. */
export function useReload(args: Json, calls: Calls, atStore = false): () => void {
  const runtime = useRuntime();
  const done = runtime.state.language.t("common.reloaded");
  return () => void calls.run({ key: "reload", tool: runtime.tool, args, atStore, done, shows: true });
}
