// The page's side of the connection with its host: JSON-RPC 2.0 over postMessage, with the window above and no other.

import { CODE, type HostCapabilities, type HostContext, type Json, METHOD, PROTOCOL, RpcError, isObject } from "./protocol";

/** How long a host may take to greet, and to answer a call, in milliseconds. */
const GREETING_MS = 20_000;
const ANSWER_MS = 90_000;
/** Questions to the host that may be open at once. */
const MAX_OPEN = 64;

interface Waiting {
  resolve(value: Json): void;
  reject(error: RpcError): void;
  timer: number;
}

export interface Listener {
  input(args: Json): void;
  result(result: Json): void;
  cancelled(): void;
  context(context: HostContext): void;
  closing(): void;
}

export class Bridge {
  capabilities: HostCapabilities = {};
  private readonly waiting = new Map<number, Waiting>();
  private next = 1;
  /** Where answers come from and messages go to, once the host has answered. */
  private origin: string | null = null;
  private closed = false;

  constructor(
    private readonly own: Window,
    private readonly listener: Listener,
  ) {}

  /** Greets the host. Rejects where there is none. */
  async connect(name: string, version: string): Promise<HostContext> {
    if (this.own.parent === this.own) throw new RpcError("no host", CODE.noAnswer);
    this.own.addEventListener("message", this.receive);
    const answer = await this.request(
      METHOD.initialize,
      { appInfo: { name, version }, appCapabilities: { availableDisplayModes: ["inline"] }, protocolVersion: PROTOCOL },
      GREETING_MS,
    );
    if (isObject(answer.hostCapabilities)) this.capabilities = answer.hostCapabilities;
    this.notify(METHOD.initialized, {});
    return isObject(answer.hostContext) ? answer.hostContext : {};
  }

  callTool(name: string, args: Json): Promise<Json> {
    return this.request(METHOD.callTool, { name, arguments: args }, ANSWER_MS);
  }

  /** Asks the host to open a link, or throws away one that is not https. */
  async openLink(url: string): Promise<boolean> {
    const safe = httpsOnly(url);
    if (safe === null) return false;
    const answer = await this.request(METHOD.openLink, { url: safe }, ANSWER_MS);
    return answer.isError !== true;
  }

  /** Hands a file to the host. False where it takes none. */
  async downloadText(name: string, mimeType: string, text: string): Promise<boolean> {
    if (!("downloadFile" in this.capabilities)) return false;
    const resource = { uri: `file:///${name}`, mimeType, text };
    const answer = await this.request(METHOD.downloadFile, { contents: [{ type: "resource", resource }] }, ANSWER_MS);
    return answer.isError !== true;
  }

  /** Tells the model, with the person's next turn, what was done here; the last one stands. Lost where the host takes none. */
  tellModel(text: string): void {
    if (!("updateModelContext" in this.capabilities)) return;
    const params = { content: [{ type: "text", text }] };
    this.request(METHOD.updateModelContext, params, ANSWER_MS).catch(() => undefined);
  }

  tellSize(width: number, height: number): void {
    this.notify(METHOD.sizeChanged, { width, height });
  }

  private request(method: string, params: Json, within: number): Promise<Json> {
    if (this.closed) return Promise.reject(new RpcError("closed", CODE.notSent));
    if (this.waiting.size >= MAX_OPEN) return Promise.reject(new RpcError("too many open calls", CODE.notSent));
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const timer = this.own.setTimeout(() => this.settle(id)?.reject(new RpcError("no answer", CODE.noAnswer)), within);
      this.waiting.set(id, { resolve, reject, timer });
      this.send({ jsonrpc: "2.0", id, method, params });
    });
  }

  private notify(method: string, params: Json): void {
    if (!this.closed) this.send({ jsonrpc: "2.0", method, params });
  }

  private send(message: Json): void {
    // A sandboxed host has no origin to name. Until the first answer nothing but the greeting is sent.
    this.own.parent.postMessage(message, this.origin ?? "*");
  }

  private settle(id: unknown): Waiting | undefined {
    const waiting = typeof id === "number" ? this.waiting.get(id) : undefined;
    if (waiting !== undefined) {
      this.waiting.delete(id as number);
      this.own.clearTimeout(waiting.timer);
    }
    return waiting;
  }

  private readonly receive = (event: MessageEvent): void => {
    if (event.source !== this.own.parent) return;
    if (this.origin !== null && event.origin !== this.origin) return;
    const message: unknown = event.data;
    if (!isObject(message) || message.jsonrpc !== "2.0") return;
    if (typeof message.method === "string") this.told(message.method, message);
    else this.answered(message, event.origin);
  };

  private answered(message: Json, origin: string): void {
    const waiting = this.settle(message.id);
    if (waiting === undefined) return;
    if (this.origin === null && origin !== "null" && origin !== "") this.origin = origin;
    if (isObject(message.error)) waiting.reject(asError(message.error));
    else waiting.resolve(isObject(message.result) ? message.result : {});
  }

  private told(method: string, message: Json): void {
    const params = isObject(message.params) ? message.params : {};
    if (method === METHOD.toolInput) this.listener.input(isObject(params.arguments) ? params.arguments : {});
    else if (method === METHOD.toolResult) this.listener.result(params);
    else if (method === METHOD.toolCancelled) this.listener.cancelled();
    else if (method === METHOD.hostContextChanged) this.listener.context(params);
    else if (message.id !== undefined) this.asked(method, message.id);
  }

  private asked(method: string, id: unknown): void {
    if (method === METHOD.ping) this.send({ jsonrpc: "2.0", id, result: {} });
    else if (method === METHOD.teardown) this.close(id);
    else this.send({ jsonrpc: "2.0", id, error: { code: CODE.methodNotFound, message: `no such method: ${method}` } });
  }

  private close(id: unknown): void {
    this.listener.closing();
    this.send({ jsonrpc: "2.0", id, result: {} });
    this.closed = true;
    this.own.removeEventListener("message", this.receive);
    for (const key of [...this.waiting.keys()]) this.settle(key)?.reject(new RpcError("closed", CODE.closed));
  }
}

/** The URL in its normal form when it is https and carries no credentials, else null. */
export function httpsOnly(url: string): string | null {
  try {
    const parsed = new URL(url);
    return parsed.protocol === "https:" && parsed.username === "" && parsed.password === "" ? parsed.href : null;
  } catch {
    return null;
  }
}

function asError(error: Json): RpcError {
  const code = typeof error.code === "number" ? error.code : 0;
  return new RpcError(typeof error.message === "string" ? error.message : "", code, error.data);
}
