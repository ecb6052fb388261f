'use strict';
const PAUSE = 2000;
const at = (id) => document.getElementById(id);
/* Names and reasons come from servers: they are only ever set as text. */
const element = (tag, text, names) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (names) made.className = names;
  return made;
};
const cell = (row, name, text, names) => {
  const made = element('td', text, names);
  made.dataset.name = name;
  row.append(made);
  return made;
};
const COLUMNS = [['Server'], ['State'], ['Speaks'], ['Tools', 'number'], ['Sessions', 'number'], ['Calls', 'number'], ['Pods']];

function row(server) {
  const made = element('tr');
  const name = element('th', `${server.namespace}/${server.name}`);
  name.scope = 'row';
  if (server.serverName) name.append(element('div', `${server.serverName} ${server.serverVersion ?? ''}`, 'faint'));
  made.append(name);
  const state = cell(made, 'State');
  state.append(element('span', server.state, server.state));
  if (server.reason) state.append(element('div', server.reason, 'faint'));
  if (!server.confirmed && server.tools) state.append(element('div', 'lists kept before the start', 'faint'));
  if (server.unapprovedTools.length) state.append(element('div', `not approved: ${server.unapprovedTools.join(', ')}`, 'failing'));
  cell(made, 'Speaks', server.protocolVersion ?? '–', 'whole');
  cell(made, 'Tools', server.tools, 'number');
  cell(made, 'Sessions', server.sessions, 'number');
  cell(made, 'Calls', server.callsInFlight, 'number');
  const pods = cell(made, 'Pods', server.pods.length ? undefined : 'none ready');
  for (const pod of server.pods) {
    const open = pod.breaker === 'open';
    const text = `${pod.url}${open ? ', passed over' : ''}${pod.callsInFlight ? `, ${pod.callsInFlight} calls` : ''}`;
    pods.append(element('div', text, open ? 'failing' : 'faint'));
  }
  return made;
}

function table(servers) {
  const wanted = at('search').value.trim().toLowerCase();
  const shown = servers.filter((one) => `${one.namespace}/${one.name} ${one.state}`.toLowerCase().includes(wanted));
  if (!shown.length) return element('p', servers.length ? 'None has that.' : 'There are none.');
  const made = element('table');
  const head = element('tr');
  for (const [text, names] of COLUMNS) {
    const title = element('th', text, names);
    title.scope = 'col';
    head.append(title);
  }
  made.append(element('thead'), element('tbody'));
  made.tHead.append(head);
  made.tBodies[0].append(...shown.map(row));
  return made;
}

const pairs = (id, all) => at(id).replaceChildren(...all.flatMap(([name, text]) => [element('dt', name), element('dd', text)]));
const time = (seconds) => (seconds ? new Date(seconds * 1000).toLocaleString() : 'never');
const bound = ({ now, most }) => `${now} of ${most}`;

let last;
let drawn;
function show(status) {
  last = status;
  const failing = status.servers.filter((server) => server.state === 'failing').length;
  const stale = status.serversStale ? '; the cluster cannot be reached' : '';
  const summary = `${status.state}; ${status.servers.length} servers, ${failing} failing${stale}`;
  if (at('summary').textContent !== summary) at('summary').textContent = summary;
  /* What did not change stays, so that it can be selected and read out in peace. */
  const now = JSON.stringify([status.servers, at('search').value]);
  if (now !== drawn) at('table').replaceChildren(table(status.servers));
  drawn = now;
  const { requests, streams, sessionsWithServers, questions, waitingCalls, approvals } = status.open;
  pairs('bounds', [['Requests', bound(requests)], ['Streams of clients', bound(streams)],
    ['Sessions with servers', bound(sessionsWithServers)], ['Questions to clients', bound(questions)],
    ['Calls that wait for a client', bound(waitingCalls)], ['Approvals to be given', bound(approvals)]]);
  pairs('quotas', status.quotas.length ? status.quotas.map((quota) => [quota.name, `${quota.amount}; refused ${quota.refused} times`])
    : [['None', 'is configured']]);
  const { file, loadedUnixSeconds, error, certificateError } = status.configuration;
  const rows = [['Version', status.version], ['Up for', `${status.uptimeSeconds} s`], ['TLS', status.tls ? 'yes' : 'no'],
    ['File', file ?? 'none'], ['Taken', time(loadedUnixSeconds)]];
  if (error) rows.push(['Not taken since', error]);
  if (certificateError) rows.push(['Certificate not taken', certificateError]);
  pairs('settings', rows);
}

async function look() {
  try {
    const response = await fetch('/status');
    if (!response.ok) throw new Error(`status ${response.status}`);
    show(await response.json());
  } catch (error) {
    at('summary').textContent = `The gateway does not answer: ${error.message}`;
  }
  setTimeout(look, PAUSE);
}

async function filter(method, body) {
  const response = await fetch('/log', { method, body });
  const text = (await response.text()).trim();
  if (response.ok) at('level').value = text;
  return response.ok ? '' : text;
}

at('search').addEventListener('input', () => last && show(last));
at('filter').addEventListener('submit', async (event) => {
  event.preventDefault();
  const refused = await filter('PUT', at('level').value).catch((error) => error.message);
  at('answer').textContent = refused || 'In effect.';
});
filter('GET').then((refused) => { at('answer').textContent = refused; }, () => {});
look();
