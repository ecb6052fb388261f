// A client of the official TypeScript SDK that speaks WebSocket: lists the tools at MCP_URL, calls one, and prints both as JSON.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { WebSocketClientTransport } from "@modelcontextprotocol/sdk/client/websocket.js";

const client = new Client({ name: "websocket", version: "1.0.0" });
await client.connect(new WebSocketClientTransport(new URL(process.env.MCP_URL)));
const { tools } = await client.listTools();
const result = await client.callTool({ name: "read_file", arguments: { path: "note.md" } });
await client.ping();
console.log(JSON.stringify({ server: client.getServerVersion(), tools, result }));
await client.close();
