import { start } from "../../bridge/start";
import { Form } from "./form";
import { readForm } from "./view";

start({ name: "form", tool: "", title: "form.title", read: readForm, component: Form });
