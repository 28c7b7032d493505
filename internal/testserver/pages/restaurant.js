// The restaurant that charges to rooms. The server keeps the bills and the rules; this page is the waiter's screen.

import { call, cents, clock, element, find, money } from './api.js';

const every = 500; // milliseconds between two looks at the postings

const ui = Object.fromEntries([
  'provider', 'cart', 'total', 'status', 'term', 'guests', 'found-note', 'amount', 'tip', 'manager', 'payments', 'room', 'cash', 'clear', 'bills', 'no-bills',
].map((id) => [id, find('#' + id)]));

let items = []; // {sku, name, cents, quantity}
let payments = []; // as the server takes them
let guest = null;
let asked = 0; // the number of the last search
let bills = '';
let out = false; // the server doesn't answer

function say(text, kind = '') {
  ui.status.textContent = text;
  ui.status.className = 'status ' + kind;
}

const total = () => items.reduce((sum, item) => sum + item.cents * item.quantity, 0);
const left = () => total() - payments.reduce((sum, payment) => sum + cents(payment.amount), 0);

// guard runs what a button does, and says what went wrong.
const guard = (work) => async () => {
  try {
    await work();
  } catch (err) {
    say(err.message, 'bad');
  }
};

function button(text, label, work) {
  const made = element('button', { type: 'button', textContent: text });
  made.setAttribute('aria-label', label);
  made.addEventListener('click', guard(work));
  return made;
}

function draw() {
  const rows = items.map((item) => element('tr', {},
    element('th', { scope: 'row', textContent: (item.quantity > 1 ? item.quantity + ' × ' : '') + item.name }),
    element('td', { className: 'money', textContent: money(item.cents * item.quantity) }),
    element('td', { className: 'act' }, button('−', 'Remove one ' + item.name, () => {
      item.quantity -= 1;
      items = items.filter((one) => one.quantity > 0);
      draw();
    }))));
  ui.cart.replaceChildren(...(rows.length ? rows : [element('tr', {}, element('td', { className: 'quiet', colSpan: 3, textContent: 'Empty' }))]));
  ui.total.textContent = money(total());
  ui.amount.value = left() > 0 ? money(left()) : '';
  ui.payments.replaceChildren(...payments.map((payment) => element('li', {},
    element('span', { textContent: payment.name }), element('span', { className: 'money', textContent: payment.amount }))));
}

function choose(one) {
  guest = one;
  ui.guests.replaceChildren();
  ui['found-note'].textContent = one ? one.client_name + ' in ' + one.room_description + ' is chosen.' : 'Nobody is chosen.';
  if (one) ui.room.focus();
}

function drawGuests(list) {
  ui.guests.replaceChildren(...list.map((one) => {
    const limit = one.credit_limit === null ? '' : ', up to ' + one.credit_limit;
    const made = element('button', { type: 'button', textContent: one.room_description + ': ' + one.client_name + (one.blocked ? ', blocked' : limit) });
    made.setAttribute('aria-disabled', String(one.blocked));
    made.addEventListener('click', () => (one.blocked ? say(one.client_name + ' is blocked.', 'bad') : choose(one)));
    return element('li', {}, made);
  }));
  ui['found-note'].textContent = list.length ? '' : 'Nobody is found.';
}

// search asks the hotel with each key that is pressed. An answer that is overtaken by another is not shown.
async function search() {
  asked += 1;
  const mine = asked;
  choose(null);
  if (!ui.term.value.trim()) return;
  try {
    const list = await call('GET', '/pms/guests?term=' + encodeURIComponent(ui.term.value.trim()));
    if (mine === asked) drawGuests(list);
  } catch (err) {
    if (mine === asked) ui['found-note'].textContent = err.message;
  }
}

function clear() {
  items = [];
  payments = [];
  ui.term.value = '';
  ui.tip.value = '0.00';
  ui.manager.checked = false;
  choose(null);
  draw();
}

// pay adds a payment, and closes the bill with the last one.
async function pay(payment) {
  if (!items.length) throw new Error('The bill is empty: add a dish first.');
  payments.push(payment);
  if (left() > 0) {
    draw();
    say(money(left()) + ' is left to pay.');
    return;
  }
  try {
    const bill = await call('POST', '/pms/bills', {
      items: items.map((item) => ({ sku: item.sku, quantity: item.quantity })),
      payments: payments.map(({ method, reservation_id, amount, tip }) => ({ method, reservation_id, amount, tip })),
      manager: ui.manager.checked,
    });
    clear();
    say('Bill ' + bill.account + ' is closed.');
  } catch (err) {
    payments.pop();
    draw();
    throw err;
  }
  await look();
}

ui.room.addEventListener('click', guard(async () => {
  const amount = cents(ui.amount.value);
  const tip = cents(ui.tip.value || '0');
  if (!guest) {
    ui.term.focus();
    throw new Error('Choose a guest first.');
  }
  if (!amount || amount < 0 || amount > left() || tip === null || tip < 0) throw new Error('Enter an amount of at most ' + money(left()) + ', and a tip.');
  await pay({ method: 'IKPMS', reservation_id: guest.reservation_id, amount: money(amount), tip: money(tip), name: guest.room_description });
}));
ui.cash.addEventListener('click', guard(() => pay({ method: 'CASH', reservation_id: '', amount: money(left()), tip: '0', name: 'Cash' })));
ui.clear.addEventListener('click', () => { clear(); say(''); });
ui.term.addEventListener('input', search);
ui.term.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' && event.key !== 'ArrowDown') return;
  event.preventDefault(); // the same Enter must not press what gets the focus
  const first = find('button', ui.guests);
  if (first && event.key === 'Enter') first.click();
  if (first && event.key === 'ArrowDown') first.focus();
});
find('#dishes').addEventListener('click', (event) => {
  const chosen = event.target.closest('[data-sku]');
  if (!chosen) return;
  const { sku, name, price } = chosen.dataset;
  const item = items.find((one) => one.sku === sku);
  if (item) item.quantity += 1; else items.push({ sku, name, cents: cents(price), quantity: 1 });
  say('');
  draw();
});

const kinds = { sale: 'Bill', void: 'Void', refund: 'Refund', reversal: 'Reversal', correction: 'Bill with another tip' };

function drawBill(bill, posting) {
  const path = '/pms/bills/' + encodeURIComponent(bill.account);
  const row = element('li', {},
    element('span', { textContent: kinds[bill.kind] + ' ' + bill.account + ', ' + bill.name + ', ' + clock(bill.closed) }),
    element('span', { className: 'money', textContent: money(cents(bill.total)) }));
  row.dataset.bill = bill.account;
  if (posting) {
    const words = { pending: 'is being posted', success: 'posted to the hotel', failed: posting.message + (posting.reconciled ? ' (reconciled by hand)' : '') };
    row.append(element('span', { className: 'wide ' + posting.state, textContent: words[posting.state] }));
    row.dataset.state = posting.state;
  }
  const buttons = element('div', { className: 'buttons' });
  if (!bill.taken_back_by && (bill.kind === 'sale' || bill.kind === 'correction')) {
    buttons.append(button('Void', 'Void bill ' + bill.account, async () => { await call('POST', path + '/void'); await look(); }));
    const tip = element('input', { className: 'tip', value: money(cents(bill.payments[0].tip)), inputMode: 'decimal', autocomplete: 'off' });
    tip.setAttribute('aria-label', 'Tip of bill ' + bill.account);
    buttons.append(tip, button('Correct tip', 'Correct the tip of bill ' + bill.account, async () => {
      await call('POST', path + '/tip', { payment: 0, tip: tip.value });
      await look();
    }));
  }
  if (posting?.state === 'failed' && !posting.reconciled) {
    buttons.append(
      button('Post again', 'Post bill ' + bill.account + ' again', async () => { await call('POST', path + '/post-again', {}); await look(); }),
      button('Reconciled', 'Bill ' + bill.account + ' is reconciled by hand', async () => { await call('POST', path + '/reconcile'); await look(); }));
  }
  if (buttons.children.length) row.append(buttons);
  return row;
}

async function look() {
  const [list, postings, provider] = await Promise.all([call('GET', '/pms/bills'), call('GET', '/pms/postings'), call('GET', '/pms/provider')]);
  ui.provider.textContent = provider ? 'Rooms: ' + provider.name : 'No hotel system is registered.';
  const now = JSON.stringify([list, postings]);
  if (now === bills) return; // a tip that is being typed stays
  bills = now;
  ui['no-bills'].hidden = list.length > 0;
  ui.bills.replaceChildren(...list.reverse().slice(0, 20).map((bill) => drawBill(bill, postings.find((one) => one.account === bill.account))));
}

const wrongs = {
  together: ['/pms/postings/duplicate', { count: 1, together: true }],
  again: ['/pms/postings/duplicate', { count: 1 }],
  lose: ['/pms/postings/lose-answers', { count: 1 }],
  impatient: ['/pms/postings/settings', { timeout_ms: 2000 }],
  patient: ['/pms/postings/settings', {}],
};
for (const made of document.querySelectorAll('[data-do]')) {
  made.addEventListener('click', guard(async () => {
    await call('POST', ...wrongs[made.dataset.do]);
    say(made.textContent + ': so it will be.');
  }));
}

async function watch() {
  if (!document.hidden) {
    try {
      await look();
      if (out) say('');
      out = false;
      document.body.dataset.ready = 'restaurant';
    } catch (err) {
      out = true;
      say(err.message, 'bad');
    }
  }
  setTimeout(watch, every);
}

draw();
watch();
