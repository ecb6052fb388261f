// What the server keeps of a person, and the person's own hand on it: change, take away, delete.

import { useEffect, useState } from "preact/hooks";
import { type Calls, useCalls, useLanguage, useRuntime } from "../../bridge/hooks";
import { Button } from "../../design/elements/button";
import { Heading, How, Reload, SignIn, useReload } from "../../design/elements/state";
import { Diets, Fields, Notices } from "./fields";
import { Own } from "./own";
import { type Preferences, type ProfileView, asTyped, changes, check } from "./view";

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
      {!view.signedIn && <SignIn url={view.signInUrl} reload={reload} />}
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

function Account({ view }: { view: ProfileView }) {
  const language = useLanguage();
  const { t } = language;
  const { storeName, location } = view.preferences;
  return (
    <dl class="facts panel">
      <dt>{t("profile.account")}</dt>
      <dd>{t(view.linked ? "profile.linked" : "profile.absent")}</dd>
      <dt>{t("profile.store")}</dt>
      <dd>{storeName ?? location ?? t("profile.no_store")}</dd>
      {view.devices !== undefined && (
        <>
          <dt>{t("profile.devices")}</dt>
          <dd>{language.amount(view.devices)}</dd>
        </>
      )}
      <dt>{t("profile.loyalty")}</dt>
      <dd>{view.loyalty ?? t("profile.no_loyalty")}</dd>
    </dl>
  );
}

function Editor({ kept, calls }: { kept: Preferences; calls: Calls }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const before = asTyped(kept, language);
  const [draft, setDraft] = useState(before);
  const [tried, setTried] = useState(false);
  const seen = JSON.stringify(kept);
  useEffect(() => setDraft(before), [seen]);
  const set = (change: Partial<Preferences>): void => setDraft({ ...draft, ...change });
  const wrong = check(draft, language);
  const changed = changes(before, draft, language);
  const isChanged = Object.keys(changed).length > 0;

  const save = (): void => {
    setTried(true);
    if (Object.keys(wrong).length > 0) return runtime.say("profile.look_again");
    if (!isChanged) return runtime.say("profile.nothing_changed");
    void calls.run({ key: "save", tool: TOOL, args: { action: "update", preferences: changed }, done: t("profile.saved"), shows: true, writes: true });
  };
  return (
    <section class="stack" aria-label={t("profile.preferences")}>
      <h2>{t("profile.preferences")}</h2>
      <Fields draft={draft} wrong={tried ? wrong : {}} set={set} save={save} />
      <Diets draft={draft} set={set} />
      <Notices draft={draft} set={set} />
      <div class="row">
        <Button look="primary" busy={calls.busy("save")} press={save}>
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
