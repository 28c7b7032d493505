// The control API, and money in whole cents.

export const root = document.body.dataset.root;
export const currency = document.body.dataset.currency;

export const find = (selector, within = document) => within.querySelector(selector);

// callText calls the control API and returns the answer as it came.
export async function callText(method, path, body) {
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(root + '/_sim' + path, { method, body: text });
  } catch {
    throw new Error('The simulated store does not answer. Is its program still running?');
  }
  const answer = (await response.text()).trim();
  if (!response.ok) {
    let reason = answer;
    try { reason = JSON.parse(answer).error; } catch { /* the text itself is the reason */ }
    throw new Error(String(reason).replace(/^testserver: /, ''));
  }
  return answer;
}

export async function call(method, path, body) {
  const answer = await callText(method, path, body);
  return answer === '' ? null : JSON.parse(answer);
}

// cents reads an amount with at most two decimals, null when it is none.
export function cents(text) {
  const parts = /^(-?)(\d{1,9})(?:\.(\d{1,2}))?$/.exec(String(text).trim().replace('−', '-'));
  if (!parts) return null;
  const n = Number(parts[2]) * 100 + Number((parts[3] ?? '').padEnd(2, '0'));
  return parts[1] && n ? -n : n;
}

export function money(n) {
  const abs = Math.abs(n);
  return (n < 0 ? '-' : '') + Math.floor(abs / 100) + '.' + String(abs % 100).padStart(2, '0');
}

export const priced = (n) => currency + ' ' + money(n);

// element makes an element with properties and children.
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export const clock = (time) => new Date(time).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false });
