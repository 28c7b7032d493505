// The tables of the restaurant, and the waiter who serves them.

import { call, cents, clock, element, find, money } from './api.js';

const every = 500; // milliseconds between two looks at the tables

const section = find('#tables');
const articles = [...section.querySelectorAll('[data-table]')];
const part = (article, name) => find('[data-part=' + name + ']', article);
const note = find('#tables-note');
const check = (account) => '/kseries/checks/' + encodeURIComponent(account);
const fixed = (amount) => money(cents(amount));
const due = (one) => cents(one.total) - cents(one.paid);
const number = (article) => Number(article.dataset.table);
let checks = [];

const states = { waiting: 'Waiting', applied: 'Applied', failed: 'Failed' };

// set changes text only when it is another one: what stays the same is neither painted nor read out again.
function set(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function line(name, amount, className = '') {
  return element('tr', { className }, element('td', { textContent: name }), element('td', { className: 'money', textContent: amount }));
}

function drawCheck(one) {
  const rows = one.lines.map((l) => line((l.quantity === 1 ? '' : l.quantity + ' × ') + l.name, fixed(l.amount)));
  const paid = one.entries.map((e) => line((e.active ? 'Paid: ' : 'Taken back: ') + e.method, '-' + fixed(e.amount), 'quiet'));
  return element('table', { className: 'cart' },
    element('caption', { textContent: one.name + ' ' }, element('span', { textContent: one.account })),
    element('tbody', {}, ...rows, ...paid),
    element('tfoot', {}, element('tr', {}, element('th', { scope: 'row', textContent: 'To pay' }),
      element('td', { className: 'money', textContent: money(due(one)) }))));
}

function drawTable(article) {
  const here = checks.filter((one) => !one.closed && one.table === number(article));
  article.dataset.state = here.length ? 'open' : 'free';
  set(part(article, 'state'), here.length ? (here.length > 1 ? here.length + ' checks' : '') : 'Free');
  part(article, 'checks').replaceChildren(...here.map(drawCheck));
  find('[data-action=cash]', article).setAttribute('aria-disabled', String(!here.length));
}

function drawTasks(tasks) {
  const body = find('#tasks');
  find('#no-tasks').hidden = tasks.length > 0;
  body.parentElement.hidden = tasks.length === 0;
  body.replaceChildren(...tasks.slice(-50).reverse().map((one) => element('tr', {},
    element('td', { textContent: clock(one.accepted) }),
    element('td', { textContent: (one.kind === 'payment' ? 'Payment' : 'Order') + (one.account ? ' for ' + one.account : '') }),
    element('td', { className: 'wide', textContent: one.reference }),
    element('td', { textContent: (states[one.state] ?? one.state) + (one.reason ? ': ' + one.reason : '') }))));
}

let seen = '';
let looks = 0;
let shown = 0; // the number of the last look

// look shows how the tables are. A look that was overtaken by a later one is not shown.
async function look() {
  looks += 1;
  const mine = looks;
  const [all, tasks, pos] = await Promise.all([call('GET', '/kseries/checks'), call('GET', '/kseries/tasks'), call('GET', '/kseries/pos')]);
  if (mine < shown) return;
  shown = mine;
  const now = JSON.stringify([all, tasks, pos]);
  if (now === seen) return;
  seen = now;
  checks = all;
  articles.forEach(drawTable);
  drawTasks(tasks);
  const select = find('#pos');
  if (document.activeElement !== select) select.value = pos.state;
}

let out = false;

// watch looks again and again, not while nobody sees the page.
async function watch() {
  if (!document.hidden) {
    try {
      await look();
      if (out) set(note, '');
      out = false;
      if (!document.body.dataset.ready) document.body.dataset.ready = 'tables';
    } catch (err) {
      out = true;
      set(note, err.message);
    }
  }
  setTimeout(watch, every);
}

let last = Promise.resolve();

// act does one thing after the other: a second click sees what the first one did.
function act(work) {
  last = last.then(async () => {
    try {
      await work();
      set(note, '');
    } catch (err) {
      set(note, err.message);
    }
    await look().catch(() => { /* watch tells */ });
  });
}

const oldest = (article) => checks.find((one) => !one.closed && one.table === number(article));

const actions = {
  add: (article) => {
    const sku = part(article, 'sku').value;
    const one = oldest(article);
    return one ? call('POST', check(one.account) + '/items', { sku }) : call('POST', '/kseries/checks', { table: number(article), skus: [sku] });
  },
  cash: (article) => {
    const one = oldest(article);
    if (!one) throw new Error('Nothing is to be paid at this table.');
    return call('POST', check(one.account) + '/pay', { method: 'CASH', amount: money(due(one)) });
  },
};

section.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action]');
  if (button) act(async () => actions[button.dataset.action](button.closest('[data-table]')));
});
find('#pos').addEventListener('change', (event) => act(() => call('POST', '/kseries/pos', { state: event.target.value })));

watch();
