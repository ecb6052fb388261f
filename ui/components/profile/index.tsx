import { start } from "../../bridge/start";
import { Profile } from "./profile";
import { readProfile } from "./view";

start({ name: "profile", tool: "user_profile", asks: { action: "view" }, title: "profile.title", read: readProfile, component: Profile });
