// Any form: its values are checked here, and sent as the arguments of the tool that the view names.

import { useEffect, useId, useRef, useState } from "preact/hooks";
import { useCalls, useRuntime } from "../../bridge/hooks";
import { Button } from "../../design/elements/button";
import { Check, Hints, Input, Select, describing } from "../../design/elements/field";
import { Empty, How } from "../../design/elements/state";
import type { Key, Language } from "../../design/language";
import { type Field, type FormView, LONGEST, type Values, type Wrong, argumentsOf, boundOf, check, startOf, startOfOne } from "./view";

export function Form({ view }: { view: FormView }) {
  const runtime = useRuntime();
  const { language } = runtime.state;
  const { t } = language;
  const calls = useCalls();
  const [values, setValues] = useState<Values>(startOf(view.fields, language));
  const [tried, setTried] = useState(false);
  const [answer, setAnswer] = useState("");
  const place = useRef<HTMLDivElement>(null);
  // Another form than before begins with its own values.
  const shape = JSON.stringify(view);
  useEffect(() => setValues(startOf(view.fields, language)), [shape]);
  const valueOf = (field: Field): string | boolean => values[field.name] ?? startOfOne(field, language);
  const wrong = new Map(view.fields.map((field) => [field.name, check(field, valueOf(field), language)]));

  const send = async (): Promise<void> => {
    setTried(true);
    setAnswer("");
    const bad = view.fields.find((field) => wrong.get(field.name) !== undefined);
    if (bad !== undefined) {
      runtime.say("form.look_again");
      place.current?.querySelectorAll<HTMLElement>(".input, .check input")[view.fields.indexOf(bad)]?.focus();
      return;
    }
    const secret = view.fields.some((field) => field.type === "password");
    const outcome = await calls.run({ key: "send", tool: view.tool ?? "", args: argumentsOf(view, values, language), done: t("form.sent"), writes: true, secret });
    if (outcome?.kind !== "done") return;
    setAnswer(outcome.text);
    setTried(false);
    // Secrets do not stay in the page.
    setValues((before) => ({ ...before, ...Object.fromEntries(view.fields.filter((field) => field.type === "password").map((field) => [field.name, ""])) }));
  };
  const set = (name: string, value: string | boolean): void => setValues({ ...values, [name]: value });
  return (
    <>
      <h1>{view.title ?? t("form.title")}</h1>
      {view.fields.length === 0 && <Empty icon="check" text={t("form.empty")} />}
      <div class="form" ref={place}>
        {view.fields.map((field) => (
          <One key={field.name} field={field} value={valueOf(field)} wrong={tried ? wrong.get(field.name) : undefined} set={(value) => set(field.name, value)} send={() => void send()} />
        ))}
      </div>
      {view.tool !== undefined && (
        <div>
          <Button look="primary" busy={calls.busy("send")} press={() => void send()}>
            {view.submit ?? t("form.send")}
          </Button>
        </div>
      )}
      <How progress={calls.of("send")} />
      {answer !== "" && <p class="answer">{answer}</p>}
    </>
  );
}

interface OneProps {
  field: Field;
  value: string | boolean;
  wrong: Wrong | undefined;
  set(value: string | boolean): void;
  send(): void;
}

function One({ field, value, wrong, set, send }: OneProps) {
  const { language } = useRuntime().state;
  const { t } = language;
  const label = field.required ? field.label : t("form.optional", { label: field.label });
  const words = wrong && t(wrong.key, wrong.args);
  if (field.type === "checkbox") return <Box label={label} checked={value === true} change={set} help={field.help} wrong={words} />;
  const shared = { label, value: String(value), change: set, help: helpOf(field, language), wrong: words, required: field.required };
  if (field.type === "select") return <Select {...shared} options={[{ value: "", label: t("form.choose") }, ...field.options]} />;
  const kind = field.type === "number" ? "text" : field.type;
  const bounds = field.type === "date" ? { min: asText(field.min), max: asText(field.max) } : {};
  return <Input {...shared} {...bounds} kind={kind} {...(field.type === "number" ? { mode: "decimal" as const } : {})} enter={send} longest={LONGEST} />;
}

interface BoxProps {
  label: string;
  checked: boolean;
  change(checked: boolean): void;
  help: string | undefined;
  wrong: string | undefined;
}

function Box({ label, checked, change, help, wrong }: BoxProps) {
  const id = useId();
  return (
    <div class="field">
      <Check checked={checked} change={change} described={describing(id, help, wrong)} wrong={wrong !== undefined}>
        {label}
      </Check>
      <Hints id={id} help={help} wrong={wrong} />
    </div>
  );
}

function asText(bound: number | string | undefined): string | undefined {
  return typeof bound === "string" ? bound : undefined;
}

/** The help, and the bounds of a number, so that nobody has to guess them. */
function helpOf(field: Field, language: Language): string | undefined {
  const bound = (key: Key, value: number | string | undefined) => (field.type === "number" && typeof value === "number" ? language.t(key, { bound: boundOf(value, language) }) : undefined);
  const parts = [field.help, bound("form.at_least", field.min), bound("form.at_most", field.max)].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : parts.join(" ");
}
