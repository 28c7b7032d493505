// The till. The server keeps the sales, the modals and the rules; this page is the cashier's screen and the window that
// hosts the gateway.

import { call, callText, cents, clock, element, find, money, priced, root } from './api.js';

const query = new URLSearchParams(location.search);
const sloppy = query.has('sloppy') && query.get('sloppy') !== '0';

const ui = Object.fromEntries([
  'register', 'status', 'products', 'refund', 'cart', 'total', 'sale-note', 'payments', 'remaining', 'amount', 'pay', 'cash',
  'new-sale', 'park', 'open-sales', 'open-list', 'receipts', 'no-receipts', 'gateway-form', 'gateway', 'gateway-note',
  'message-count', 'message-list', 'no-messages', 'modal', 'modal-title', 'close', 'frames', 'slip', 'slip-note', 'slip-paper', 'tear',
].map((id) => [id, find('#' + id)]));

let registerID = '';
let lines = []; // {sku, name, cents, quantity}
let sale = null; // as the server has it, once it is begun
let modal = null; // while it is open
let drawn = null; // what was left to pay when the amount was filled in

// The sale.

const sign = () => (ui.refund.checked ? -1 : 1);
const total = () => (sale ? cents(sale.total) : sign() * lines.reduce((sum, line) => sum + line.cents * line.quantity, 0));
const remaining = () => total() - (sale ? cents(sale.paid) : 0);

function say(text, kind = '') {
  ui.status.textContent = text;
  ui.status.className = 'status ' + kind;
}

function drawSale() {
  const rows = lines.map((line) => {
    const row = element('tr', {},
      element('th', { scope: 'row', textContent: (line.quantity !== 1 ? line.quantity + ' × ' : '') + line.name }),
      element('td', { className: 'money', colSpan: sale ? 2 : 1, textContent: money(sign() * Math.round(line.cents * line.quantity)) }));
    if (!sale) {
      const remove = element('button', { type: 'button', className: 'small', textContent: '−' });
      remove.setAttribute('aria-label', 'Remove one ' + line.name);
      remove.addEventListener('click', () => change(line, -1));
      row.append(element('td', { className: 'act' }, remove));
    }
    return row;
  });
  if (!rows.length) {
    rows.push(element('tr', {}, element('td', { className: 'quiet', colSpan: 3, textContent: 'Empty' })));
  }
  ui.cart.replaceChildren(...rows);
  ui.total.textContent = money(total());
  ui['sale-note'].textContent = sale ? sale.id.slice(0, 8) : '';
  ui.payments.replaceChildren(...(sale ? sale.payments : []).map((payment) => element('tr', {},
    element('th', { scope: 'row', textContent: payment.cash ? 'Cash' : 'Credit Card' }),
    element('td', { className: 'money', textContent: money(cents(payment.amount)) }))));
  ui.remaining.textContent = money(remaining());
  if (remaining() !== drawn) ui.amount.value = remaining() ? money(remaining()) : '';
  drawn = remaining();
  ui.refund.disabled = sale !== null;
  for (const button of [ui.pay, ui.cash]) button.setAttribute('aria-disabled', String(sale !== null && !remaining()));
  for (const button of ui.products.querySelectorAll('button')) button.disabled = sale !== null;
}

function change(line, by) {
  line.quantity += by;
  lines = lines.filter((one) => one.quantity > 0);
  say('');
  drawSale();
  ui.products.querySelector('button').focus();
}

function startSale() {
  lines = [];
  sale = null;
  drawn = null;
  ui.refund.checked = false;
  drawSale();
}

// begin makes the sale known to the server, which it stays from here on.
async function begin() {
  if (sale) return;
  if (!lines.length) throw new Error('The sale is empty: add a product first.');
  sale = await call('POST', '/xseries/sales', {
    register_id: registerID,
    lines: lines.map((line) => ({ name: line.name, sku: line.sku, quantity: sign() * line.quantity, unit_price: money(line.cents) })),
  });
}

// take begins the sale and returns what the cashier wants to take now.
async function take() {
  const left = remaining();
  const wanted = cents(ui.amount.value);
  if (sale && !left) throw new Error('The sale is paid in full: start a new one.');
  if (left && !wanted) throw new Error('Enter an amount, such as ' + money(left) + '.');
  if (left && (wanted < 0 !== left < 0 || Math.abs(wanted) > Math.abs(left))) {
    throw new Error(priced(left) + ' is left to pay, not ' + money(wanted) + '.');
  }
  await begin();
  return wanted;
}

async function refresh() {
  const [sales, current] = await Promise.all([
    call('GET', '/xseries/sales?register_id=' + encodeURIComponent(registerID)),
    sale ? call('GET', '/xseries/sales/' + sale.id) : null,
  ]);
  if (sale && current) sale = current;
  drawSale();
  drawOpenSales(sales);
  drawReceipts(sales);
}

function drawOpenSales(sales) {
  const open = sales.filter((one) => !one.closed && one.id !== sale?.id).reverse().slice(0, 8);
  ui['open-sales'].hidden = !open.length;
  ui['open-list'].replaceChildren(...open.map((one) => {
    const left = cents(one.total) - cents(one.paid);
    const button = element('button', { type: 'button', textContent: 'Reopen' });
    button.dataset.sale = one.id;
    button.setAttribute('aria-label', 'Reopen sale ' + one.id.slice(0, 8));
    button.addEventListener('click', guard(async () => {
      sale = one;
      drawn = null;
      ui.refund.checked = cents(one.total) < 0;
      lines = one.lines.map((line) => ({
        sku: line.sku, name: line.name, cents: cents(line.unit_price), quantity: Math.abs(Number(line.quantity)),
      }));
      await refresh();
      say('Sale ' + one.id.slice(0, 8) + ' is open again, ' + priced(left) + ' to pay.');
      ui.pay.focus();
    }));
    return element('li', {}, element('span', { textContent: one.id.slice(0, 8) }), element('span', { className: 'money', textContent: money(left) }), button);
  }));
}

function drawReceipts(sales) {
  const payments = sales.flatMap((one) => one.payments).filter((one) => !one.cash).sort((a, b) => (a.time < b.time ? 1 : -1)).slice(0, 5);
  const known = new Map([...ui.receipts.children].map((row) => [row.dataset.receipt, row]));
  const slips = [...known.values()].filter((row) => row.dataset.slip);
  const rows = payments.map((payment) => known.get(payment.id) ?? receipt(payment.id,
    'Credit Card ' + money(cents(payment.amount)), payment.time, payment.receipt_html_extra && root + '/till/receipts/' + payment.id,
    payment.transaction_id && 'Transaction ' + payment.transaction_id));
  ui.receipts.replaceChildren(...slips, ...rows);
  ui['no-receipts'].hidden = ui.receipts.children.length > 0;
}

// receipt makes a row that shows the gateway's text for the receipt when it is opened.
function receipt(id, title, time, source, note) {
  const row = element('li', {}, element('span', { textContent: title }), element('span', { className: 'quiet', textContent: clock(time) }));
  row.dataset.receipt = id;
  if (source) row.append(receiptFrame(source, 'Receipt of ' + title));
  else row.append(element('span', { className: 'quiet', textContent: 'no text from the gateway' }));
  if (note) row.append(element('span', { className: 'quiet wide', textContent: note }));
  return row;
}

function receiptFrame(source, title) {
  const details = element('details', {}, element('summary', { textContent: 'Show' }));
  details.addEventListener('toggle', () => {
    if (!details.open || details.querySelector('iframe')) return;
    details.append(paper(source, title));
  });
  return details;
}

// paper shows HTML of the gateway. The sandbox, and the policy that comes with the document, let nothing in it run.
function paper(source, title) {
  const frame = element('iframe', { className: 'paper', title });
  frame.setAttribute('sandbox', '');
  frame.src = source;
  return frame;
}

// The modal.

let clicks = 0; // on the button since the modal was asked for

async function payByCard() {
  clicks = 1;
  try {
    const amount = await take();
    const opened = await call('POST', '/xseries/modals', { sale_id: sale.id, amount: money(amount), origin: location.origin });
    if (opened.url === '') {
      await call('POST', '/xseries/modals/' + opened.id + '/abandon');
      find('#settings').open = true;
      throw new Error('The payment type has no gateway: enter its URL in the settings.');
    }
    // A sloppy sell screen loads the gateway again for each click that comes before the modal is there.
    if (sloppy) await new Promise((resolve) => { setTimeout(resolve, 600); });
    openModal(opened, sloppy ? clicks : 1);
    say('');
  } finally {
    drawSale();
  }
}

// Beside the terminals the modal covers the till alone: the same person presses their buttons.
const covering = document.body.dataset.page === 'start';

function showModal() {
  if (covering) ui.modal.show();
  else ui.modal.showModal();
  find('.till').inert = true;
  ui.modal.scrollIntoView({ block: 'nearest' });
}

function openModal(opened, times) {
  modal = { id: opened.id, amount: cents(opened.amount), closable: true, ended: '', endedBy: null, frames: [], queue: Promise.resolve() };
  ui['modal-title'].textContent = 'Credit Card ' + priced(modal.amount);
  ui.close.hidden = false;
  note('till', 'opens ' + opened.url);
  for (let i = 0; i < times; i++) {
    const frame = element('iframe', { title: 'Payment gateway', src: opened.url });
    modal.frames.push(frame);
    ui.frames.append(frame);
  }
  showModal();
  modal.frames.at(-1).focus();
}

window.addEventListener('message', (event) => {
  const current = modal;
  const frame = current?.frames.find((one) => one.contentWindow === event.source);
  if (!frame) {
    note('ignored', asText(event.data), 'not from the window of the gateway, from ' + event.origin);
    return;
  }
  // One after the other: the order of the messages is all that the protocol has.
  current.queue = current.queue.then(() => receive(current, frame, event.source, event.origin, event.data)).catch((err) => say(err.message, 'bad'));
});

const asText = (data) => (typeof data === 'string' ? data : JSON.stringify(data) ?? String(data));

async function receive(current, frame, source, origin, data) {
  const text = asText(data);
  note('gateway', text, typeof data === 'string' ? '' : 'an object: the vendor documents JSON text');
  if (current.ended && frame !== current.endedBy) {
    note('ignored', text, 'the modal was ' + current.ended + ' by its other frame');
    return;
  }
  let refused = false;
  try {
    const reply = await callText('POST', '/xseries/modals/' + current.id + '/messages', text);
    if (reply !== '' && !current.ended) {
      source.postMessage(reply, origin === 'null' ? '*' : origin);
      note('till', reply);
    }
  } catch (err) {
    refused = true;
    note('ignored', text, err.message);
  }
  const state = await call('GET', '/xseries/modals/' + current.id);
  if (!refused) print(current, state.messages.length - 1, text);
  if (current.ended) return;
  current.closable = state.closable;
  ui.close.hidden = !state.closable;
  if (state.ended) {
    current.endedBy = frame;
    await finish(current, state.ended);
  }
}

// print shows what a message wants printed beside a payment: a slip, or a declined receipt.
function print(current, n, text) {
  const message = JSON.parse(text);
  if (!message.receipt_html_extra || !(message.step === 'PRINT' || (message.step === 'DECLINE' && message.print))) return;
  const source = root + '/till/slips/' + current.id + '/' + n;
  const title = (message.step === 'PRINT' ? 'Slip ' : 'Declined ') + money(current.amount);
  const row = receipt(current.id + '/' + n, title, Date.now(), source);
  row.dataset.slip = 'true';
  ui.receipts.prepend(row);
  ui['no-receipts'].hidden = true;
  if (message.step === 'PRINT' && !current.ended) {
    ui['slip-note'].textContent = 'Slip printed';
    ui['slip-paper'].replaceChildren(paper(source, title));
    ui.slip.hidden = false;
  }
}

async function finish(current, ended) {
  current.ended = ended;
  modal = null;
  ui.modal.close();
  find('.till').inert = false;
  ui.frames.replaceChildren();
  ui['slip-paper'].replaceChildren();
  ui.slip.hidden = true;
  await refresh();
  const amount = priced(current.amount);
  const left = remaining();
  switch (ended) {
    case 'accepted':
      say(amount + (current.amount < 0 ? ' refunded' : ' paid') + ' by credit card. ' + (left ? priced(left) + ' to go.' : 'The sale is closed.'), 'good');
      break;
    case 'declined':
      say('Declined: ' + amount + ' was not taken. Try again, or take another payment.', 'bad');
      break;
    case 'exited':
      say('The gateway left without a result: ' + amount + ' was not recorded.', 'bad');
      break;
    default:
      say('The payment was closed: ' + amount + ' was not recorded.', 'bad');
  }
  (left ? ui.pay : ui['new-sale']).focus();
}

async function closeModal() {
  const current = modal;
  if (!current?.closable) return;
  note('till', 'the cashier closes the modal');
  await call('POST', '/xseries/modals/' + current.id + '/close');
  await finish(current, 'closed');
}

// A browser may end a dialog by its own rules; while a gateway holds it open it comes back, its frame untouched.
ui.modal.addEventListener('cancel', (event) => event.preventDefault());
ui.modal.addEventListener('close', () => { if (modal) showModal(); });
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !modal || event.target.closest('.terminals')) return;
  event.preventDefault();
  guard(closeModal)();
});

// Who leaves the page loses the modal, and the gateway is not asked. The sale stays.
window.addEventListener('pagehide', () => {
  if (modal) navigator.sendBeacon(root + '/_sim/xseries/modals/' + modal.id + '/abandon');
});
window.addEventListener('pageshow', (event) => { if (event.persisted) location.reload(); });

// The log of messages.

const keep = 200;
let noted = 0;

function note(who, text, remark = '') {
  const arrow = { gateway: 'gateway → till', till: 'till → gateway', ignored: 'ignored' }[who];
  const row = element('li', {},
    element('span', { className: 'quiet', textContent: clock(Date.now()) + ' ' + arrow + ' ' }),
    element('code', { textContent: text }));
  row.dataset.who = who;
  if (remark) row.append(element('em', { textContent: ' ' + remark }));
  ui['message-list'].append(row);
  if (ui['message-list'].children.length > keep) ui['message-list'].firstElementChild.remove();
  ui['message-list'].scrollTop = ui['message-list'].scrollHeight;
  noted++;
  ui['message-count'].textContent = '(' + noted + ')';
  ui['no-messages'].hidden = true;
}

// Everything else.

let working = false;

// guard runs what a button does and says what went wrong. A click that comes meanwhile does nothing: it is the second
// half of a double click.
function guard(work) {
  return async () => {
    if (working) return;
    working = true;
    try {
      await work();
    } catch (err) {
      say(err.message, 'bad');
    } finally {
      working = false;
    }
  };
}

function listen() {
  ui.products.addEventListener('click', (event) => {
    const button = event.target.closest('button');
    if (!button) return;
    const { product: sku, name } = button.dataset;
    const line = lines.find((one) => one.sku === sku);
    if (line) line.quantity++;
    else lines.push({ sku, name, cents: Number(button.dataset.cents), quantity: 1 });
    say('');
    drawSale();
  });
  ui.refund.addEventListener('change', drawSale);
  ui.pay.addEventListener('click', () => { clicks++; });
  ui.pay.addEventListener('click', guard(payByCard));
  ui.cash.addEventListener('click', guard(async () => {
    const amount = await take();
    sale = await call('POST', '/xseries/sales/' + sale.id + '/cash', { amount: money(amount) });
    await refresh();
    const left = remaining();
    say(priced(amount) + (amount < 0 ? ' refunded' : ' paid') + ' in cash. ' + (left ? priced(left) + ' to go.' : 'The sale is closed.'), 'good');
    if (!left) ui['new-sale'].focus();
  }));
  ui['new-sale'].addEventListener('click', guard(async () => {
    startSale();
    say('');
    await refresh();
    ui.products.querySelector('button').focus();
  }));
  ui.park.addEventListener('click', guard(async () => {
    await begin();
    if (!remaining()) throw new Error('The sale is paid in full: start a new one.');
    startSale();
    await refresh();
    say('Parked. Reopen it below.');
  }));
  ui.close.addEventListener('click', guard(closeModal));
  ui.tear.addEventListener('click', () => {
    ui['slip-paper'].replaceChildren();
    ui.slip.hidden = true;
    modal?.frames.at(-1).focus();
  });
  ui.register.addEventListener('change', guard(async () => {
    registerID = ui.register.value;
    const url = new URL(location.href);
    url.searchParams.set('register', registerID);
    history.replaceState(null, '', url);
    startSale();
    say('');
    await refresh();
  }));
  ui['gateway-form'].addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      await call('POST', '/xseries/gateway', { url: ui.gateway.value.trim() });
      ui['gateway-note'].textContent = ui.gateway.value.trim() ? 'Saved.' : 'Saved: there is no gateway now.';
    } catch (err) {
      ui['gateway-note'].textContent = err.message;
    }
  });
}

async function start() {
  listen();
  const [registers, gateway] = await Promise.all([call('GET', '/xseries/registers'), call('GET', '/xseries/gateway')]);
  registers.sort((a, b) => (a.outlet_name + a.name < b.outlet_name + b.name ? -1 : 1));
  ui.register.replaceChildren(...registers.map((one) => element('option', {
    value: one.id, textContent: one.outlet_name + ' – ' + one.name + (one.open ? '' : ' (closed)'),
  })));
  const wanted = query.get('register');
  if (registers.some((one) => one.id === wanted)) ui.register.value = wanted;
  else if (wanted) say('There is no register ' + wanted + '.', 'bad');
  registerID = ui.register.value;
  ui.gateway.value = gateway.url;
  if (sloppy) say('Sloppy: a double click on Credit Card loads the gateway twice.');
  startSale();
  await refresh();
  document.body.dataset.ready = 'till';
}

guard(start)();
