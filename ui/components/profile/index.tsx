import { start } from "../../bridge/start";
import { Profile } from "./profile";
import { readProfile } from "./view";

start({ name: "profile", tool: "user_profile", title: "profile.title", read: readProfile, component: Profile });
