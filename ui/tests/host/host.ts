// A host of MCP Apps for the tests: the official bridge, and a sandbox proxy on another origin.

import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

interface Options {
  sandbox: string;
  html: string;
  context: Record<string, unknown>;
  capabilities: Record<string, unknown>;
}

declare global {
  interface Window {
    host: Host;
    answerTool(name: string, args: unknown): Promise<Record<string, unknown>>;
    note(kind: string, value: unknown): void;
  }
}

class Host {
  private bridge: AppBridge | undefined;
  private frame: HTMLIFrameElement | undefined;
  seen: unknown[] = [];
  /** How far `open` is, for whoever waits for it. */
  stage = "made";
  /** Resolves once the page has greeted. */
  ready: Promise<void> = Promise.resolve();

  async open(options: Options): Promise<void> {
    const frame = document.createElement("iframe");
    frame.title = "page";
    frame.setAttribute("sandbox", "allow-scripts allow-same-origin");
    frame.src = options.sandbox;
    const proxyReady = new Promise<void>((resolve) => {
      window.addEventListener("message", function heard({ source, data }) {
        if (source !== frame.contentWindow || data?.method !== "ui/notifications/sandbox-proxy-ready") return;
        window.removeEventListener("message", heard);
        resolve();
      });
    });
    document.body.append(frame);
    this.frame = frame;
    this.stage = "waits for the sandbox";
    await proxyReady;
    await this.connect(frame, options);
  }

  private async connect(frame: HTMLIFrameElement, options: Options): Promise<void> {
    const above = frame.contentWindow as Window;
    const bridge = new AppBridge(null, { name: "test-host", version: "1.0.0" }, options.capabilities, { hostContext: options.context });
    this.bridge = bridge;
    bridge.oncalltool = async (params) => {
      const answer = await window.answerTool(params.name, params.arguments ?? {});
      if (answer.fails) throw Object.assign(new Error(String(answer.fails)), { code: answer.code ?? -32603, data: answer.data });
      return answer as never;
    };
    bridge.onopenlink = async ({ url }) => {
      window.note("link", url);
      return {};
    };
    bridge.ondownloadfile = async (params) => {
      window.note("file", params);
      return {};
    };
    bridge.onupdatemodelcontext = async (params) => {
      window.note("model", params);
      return {};
    };
    bridge.onsizechange = ({ height }) => {
      window.note("size", height);
      if (height !== undefined) frame.style.height = `${height}px`;
    };
    this.ready = new Promise((resolve) => (bridge.oninitialized = () => resolve()));
    this.stage = "connects";
    await bridge.connect(new PostMessageTransport(above, above));
    await bridge.sendSandboxResourceReady({ html: options.html, sandbox: "allow-scripts" });
    this.stage = "waits for the page";
    await this.ready;
    this.stage = "open";
  }

  input(args: Record<string, unknown>): Promise<void> {
    return this.used().sendToolInput({ arguments: args });
  }

  result(result: Record<string, unknown>): Promise<void> {
    return this.used().sendToolResult(result as never);
  }

  cancel(): Promise<void> {
    return this.used().sendToolCancelled({ reason: "test" });
  }

  context(change: Record<string, unknown>): void {
    void this.used().sendHostContextChange(change);
  }

  close(): Promise<Record<string, unknown>> {
    return this.used().teardownResource({});
  }

  app(): unknown {
    return this.used().getAppVersion();
  }

  /** Sends a message past the bridge, as another window on the page would. */
  forge(message: unknown): void {
    const inner = this.frame?.contentWindow?.frames[0];
    inner?.postMessage(message, "*");
  }

  /** Sends a message by the way that the bridge's own take; what comes back with its id is in `seen`. */
  forgeAbove(message: { id?: unknown }): void {
    window.addEventListener("message", ({ data }) => {
      if (data?.id === message.id && data.method === undefined) this.seen.push(data);
    });
    this.frame?.contentWindow?.postMessage(message, "*");
  }

  private used(): AppBridge {
    if (this.bridge === undefined) throw new Error("not open");
    return this.bridge;
  }
}

window.host = new Host();
