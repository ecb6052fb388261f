// A person's data: a copy of all of it, and its deletion.

import { useState } from "preact/hooks";
import { type Calls, useRuntime } from "../../bridge/hooks";
import { Button, Confirm } from "../../design/elements/button";
import { How } from "../../design/elements/state";
import { TOOL } from "./profile";

export function Own({ calls }: { calls: Calls }) {
  const runtime = useRuntime();
  const { t } = runtime.state.language;
  const [copy, setCopy] = useState("");
  const take = async (): Promise<void> => {
    const outcome = await calls.run({ key: "export", tool: TOOL, args: { action: "export" }, done: t("profile.exported") });
    if (outcome?.kind !== "done") return;
    const content = JSON.stringify(outcome.view, null, 2);
    setCopy((await runtime.save("profile.json", "application/json", content)) ? "" : content);
  };
  const remove = async (): Promise<void> => {
    const outcome = await calls.run({ key: "delete", tool: TOOL, args: { action: "delete", confirm: true }, done: t("profile.deleted"), writes: true });
    if (outcome?.kind === "done") await runtime.refresh({ action: "view" });
  };
  return (
    <section class="stack" aria-label={t("profile.own")}>
      <h2>{t("profile.own")}</h2>
      <p class="soft">{t("profile.own_what")}</p>
      <div class="row">
        <Button busy={calls.busy("export")} press={() => void take()}>
          {t("profile.export")}
        </Button>
        <Confirm label={t("profile.delete")} question={t("profile.delete_sure")} yes={t("profile.delete_yes")} busy={calls.busy("delete")} press={() => void remove()} />
      </div>
      <How progress={calls.of("export")} />
      <How progress={calls.of("delete")} />
      {copy !== "" && (
        <pre class="scrolls panel" tabIndex={0} role="region" aria-label={t("profile.copy")}>
          {copy}
        </pre>
      )}
    </section>
  );
}
