// What the server keeps of a person, and the person's own hand on it: change, take away, delete.

import { useEffect, useRef, useState } from "preact/hooks";
import { type Calls, useCalls, useLanguage, useRuntime } from "../../bridge/hooks";
import { Button } from "../../design/elements/button";
import { Heading, How, Reload, useReload } from "../../design/elements/state";
import { Account, LeadIn } from "./account";
import { Diets, Fields, Notices } from "./fields";
import { Own } from "./own";
import { type Preferences, type ProfileView, asTyped, changes, check, renewed } from "./view";

export const TOOL = "user_profile";

export function Profile({ view }: { view: ProfileView }) {
  const { t } = useLanguage();
  const calls = useCalls();
  const reload = useReload({ action: "view" }, calls);
  return (
    <>
      <Heading title={t("profile.title")}>
        <Reload busy={calls.busy("reload")} press={reload} />
      </Heading>
      <LeadIn view={view} reload={reload} />
      {view.notices.length > 0 && (
        <ul class="notice info" aria-label={t("profile.news")}>
          {view.notices.map((notice, index) => (
            <li key={index}>{notice}</li>
          ))}
        </ul>
      )}
      <Account view={view} />
      <Editor kept={view.preferences} calls={calls} />
      <Own calls={calls} />
    </>
  );
}

function Editor({ kept, calls }: { kept: Preferences; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const before = asTyped(kept, language);
  const [draft, setDraft] = useState(before);
  const [tried, setTried] = useState(false);
  // What the fields were filled with, or what was saved of them: what differs from it the person has changed since.
  const base = useRef(before);
  useEffect(() => {
    const known = base.current;
    base.current = before;
    setDraft((now) => renewed(now, known, before));
  }, [JSON.stringify(kept)]);
  const set = (change: Partial<Preferences>): void => setDraft({ ...draft, ...change });
  const wrong = check(draft, language);
  const changed = changes(before, draft, language);
  const isChanged = Object.keys(changed).length > 0;

  const save = async (): Promise<void> => {
    setTried(true);
    if (Object.keys(wrong).length > 0) return runtime.say("profile.look_again");
    if (!isChanged) return runtime.say("profile.nothing_changed");
    if (calls.busy("save")) return;
    base.current = draft;
    const outcome = await calls.run({ key: "save", tool: TOOL, args: { action: "update", preferences: changed }, done: t("profile.saved"), shows: true, writes: true });
    if (outcome?.kind !== "done" && base.current === draft) base.current = before;
  };
  return (
    <section class="stack" aria-label={t("profile.preferences")}>
      <h2>{t("profile.preferences")}</h2>
      <Fields draft={draft} wrong={tried ? wrong : {}} set={set} save={() => void save()} />
      <Diets draft={draft} set={set} />
      <Notices draft={draft} set={set} />
      <div class="row">
        <Button look="primary" busy={calls.busy("save")} press={() => void save()}>
          {t("profile.save")}
        </Button>
        {isChanged && (
          <Button look="quiet" press={() => setDraft(before)}>
            {t("profile.undo")}
          </Button>
        )}
      </div>
      <How progress={calls.of("save")} />
    </section>
  );
}
