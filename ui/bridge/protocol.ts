// Names and shapes of the MCP Apps dialect (SEP-1865, revision 2026-01-26) that a page needs.

export const PROTOCOL = "2026-01-26";

export const METHOD = {
  initialize: "ui/initialize",
  initialized: "ui/notifications/initialized",
  openLink: "ui/open-link",
  downloadFile: "ui/download-file",
  updateModelContext: "ui/update-model-context",
  sizeChanged: "ui/notifications/size-changed",
  toolInput: "ui/notifications/tool-input",
  toolResult: "ui/notifications/tool-result",
  toolCancelled: "ui/notifications/tool-cancelled",
  hostContextChanged: "ui/notifications/host-context-changed",
  teardown: "ui/resource-teardown",
  callTool: "tools/call",
  ping: "ping",
} as const;

export type Json = Record<string, unknown>;

export interface HostContext {
  theme?: unknown;
  styles?: unknown;
  locale?: unknown;
  timeZone?: unknown;
  safeAreaInsets?: unknown;
  toolInfo?: unknown;
}

/** What the host said it can do. A key that is there means yes. */
export type HostCapabilities = Json;

/** A failure as JSON-RPC tells it, or one of ours: no answer in time, or the page is being closed. */
export class RpcError extends Error {
  constructor(
    message: string,
    readonly code: number,
    readonly data?: unknown,
  ) {
    super(message);
  }
}

export const CODE = {
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  /** Ours, never sent: no answer came in time. */
  noAnswer: -1,
  /** Ours, never sent: the host closed the page. */
  closed: -2,
  /** Ours: it was not even sent, since the page is closed or too many questions are open. */
  notSent: -3,
} as const;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
