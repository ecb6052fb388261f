// Who it is, and where to sign in.

import { useLanguage } from "../../bridge/hooks";
import { Button } from "../../design/elements/button";
import { SignIn } from "../../design/elements/state";
import type { ProfileView } from "./view";

/** Somebody whom the host knows may still have no Kroger account linked: the same page links it. */
export function LeadIn({ view, reload }: { view: ProfileView; reload(): void }) {
  const { t } = useLanguage();
  const { signedIn, signInUrl } = view;
  if (signedIn && (view.linked || signInUrl === undefined)) return null;
  return (
    <div class="notice info">
      <p class="strong">{t(signedIn ? "profile.link_first" : "profile.signed_out")}</p>
      <p>{t(signInUrl === undefined ? "profile.signed_out_no_link" : "profile.signed_out_how")}</p>
      <div class="row">
        <SignIn url={signInUrl} />
        <Button icon="again" press={reload}>
          {t("profile.signed_in_now")}
        </Button>
      </div>
    </div>
  );
}

export function Account({ view }: { view: ProfileView }) {
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
