'use strict';
(() => {
const data = JSON.parse(document.getElementById('data').textContent);
const $ = id => document.getElementById(id);
const canvas = $('canvas'), ctx = canvas.getContext('2d'), panel = $('panel');
const [NW, NH] = data.node, N = data.ends.length, MOST = 4000, CELL = 18, ROOM = 190;
const ends = data.ends, groups = data.groups, edges = data.edges;
const el = (tag, text, cls) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (cls) e.className = cls; return e; };

// Edges of each end, as client and as server: pairs are worked out when they are looked at.
const out = ends.map(() => []), into = ends.map(() => []);
let total = 0;
edges.forEach((e, i) => {
  e.loop = e.from.length === 1 && e.to.length === 1 && e.from[0] === e.to[0];
  e.to.set = new Set(e.to);
  for (const a of e.from) out[a].push(i);
  for (const b of e.to) into[b].push(i);
  total += e.loop ? 1 : e.from.length * e.to.length - e.from.filter(a => e.to.set.has(a)).length;
});
// What is exposed, by end; those open to the outside get a mark.
const exposed = ends.map(() => []), outward = new Set();
data.exposures.forEach((x, i) => { for (const e of x.to) { exposed[e].push(i); if (x.outside && x.state < 3) outward.add(e); } });
const shown = groups.map(() => true), folded = groups.map(() => false);
let view = 'graph', text = '', port = null, state = 'all', picked = null, hover = -1, current = -1;
let cam = { x: 0, y: 0, z: 1 }, scroll = { x: 0, y: 0 }, cursor = { r: 0, c: 0 }, dirty = true, W = 0, H = 0, colors = {};

// An edge's words hold its ports: `TCP 80,8080-8090 UDP 53`, `all`, `all but TCP 22`.
const memo = new Map();
function carries(e) {
  if (state !== 'all' && e.state !== +state) return false;
  if (port === null) return true;
  if (!memo.has(e.text)) {
    const but = /all but/.test(e.text);
    const listed = [...e.text.matchAll(/(\d+)(?:-(\d+))?/g)].some(m => port >= +m[1] && port <= +(m[2] || m[1]));
    const whole = /(^|, )all( |$)/.test(e.text) && !but || /\b(TCP|UDP|SCTP)(?! \d)/.test(e.text) && !but;
    memo.set(e.text, whole || (but ? !listed : listed));
  }
  return memo.get(e.text);
}
const visible = i => shown[ends[i].group];
const matches = i => !text || (ends[i].label + ' ' + ends[i].kind).toLowerCase().includes(text);
function* pairsOf(e) { for (const a of e.from) if (visible(a)) for (const b of e.to) if (visible(b) && (e.loop || a !== b)) yield [a, b]; }

// Which edge leads from a to b: rows are kept once looked at, the oldest go.
const rows = new Map();
function row(a) {
  let r = rows.get(a);
  if (!r) {
    if (rows.size > 600) rows.delete(rows.keys().next().value);
    r = new Int32Array(N).fill(-1);
    for (const i of out[a]) for (const b of edges[i].to) if (b !== a || edges[i].loop) r[b] = i;
    rows.set(a, r);
  }
  return r;
}

let list = [], tooMany = false;
function refresh() {
  memo.clear(); list = []; tooMany = false;
  const add = (e, i) => { for (const [a, b] of pairsOf(e)) { if (list.length >= MOST) { tooMany = true; return; } list.push([a, b, i]); } };
  const focus = picked && picked.end !== undefined ? picked.end : -1;
  edges.forEach((e, i) => { if (!tooMany && carries(e) && (!text || e.from.some(matches) || e.to.some(matches))) add(e, i); });
  if (text) list = list.filter(([a, b]) => matches(a) || matches(b));
  if (tooMany) {
    list = [];
    const one = focus >= 0 ? focus : hover;
    if (one >= 0 && visible(one)) {
      const r = row(one);
      for (let b = 0; b < N && list.length < MOST; b++) if (r[b] >= 0 && visible(b) && carries(edges[r[b]])) list.push([one, b, r[b]]);
      for (const i of into[one]) if (carries(edges[i])) for (const a of edges[i].from) if (a !== one && visible(a) && list.length < MOST) list.push([a, one, i]);
    }
  }
  const hint = $('hint');
  hint.hidden = !(view === 'graph' && tooMany);
  hint.textContent = 'Too many connections to draw at once: point at a workload or select one, search, choose a port or fewer namespaces, or use the matrix.';
  items = null; dirty = true;
}

// A grid over the picture finds what is under the pointer without looking at every workload.
const grid = new Map(), G = 256, key = (x, y) => x + ':' + y;
ends.forEach((e, i) => {
  for (let x = Math.floor(e.at[0] / G); x <= Math.floor((e.at[0] + NW) / G); x++)
    for (let y = Math.floor(e.at[1] / G); y <= Math.floor((e.at[1] + NH) / G); y++) {
      const k = key(x, y); if (!grid.has(k)) grid.set(k, []); grid.get(k).push(i);
    }
});
function endAt(x, y) {
  const found = (grid.get(key(Math.floor(x / G), Math.floor(y / G))) || []).find(i => visible(i) && x >= ends[i].at[0] && x <= ends[i].at[0] + NW && y >= ends[i].at[1] && y <= ends[i].at[1] + NH);
  return found === undefined ? -1 : found;
}
function curve(a, b) {
  const [ax, ay0] = ends[a].at, [bx, by0] = ends[b].at, ay = ay0 + NH / 2, by = by0 + NH / 2;
  if (a === b) return [ax + NW - 30, ay0, ax + NW - 30, ay0 - 34, ax + NW + 30, ay0 - 6, ax + NW, ay];
  if (bx > ax + NW) { const d = Math.min(160, Math.max(24, (bx - ax - NW) / 2)); return [ax + NW, ay, ax + NW + d, ay, bx - d, by, bx, by]; }
  if (bx + NW < ax) { const d = Math.min(160, Math.max(24, (ax - bx - NW) / 2)); return [ax, ay, ax - d, ay, bx + NW + d, by, bx + NW, by]; }
  const o = Math.max(ax, bx) + NW + 50; return [ax + NW, ay, o, ay, o, by, bx + NW, by];
}
function on(c, t) { const u = 1 - t, f = i => u * u * u * c[i] + 3 * u * u * t * c[i + 2] + 3 * u * t * t * c[i + 4] + t * t * t * c[i + 6]; return [f(0), f(1)]; }
function edgeAt(x, y) {
  let best = null, near = 8 / cam.z;
  for (const l of list) {
    const c = curve(l[0], l[1]);
    if (x < Math.min(c[0], c[2], c[4], c[6]) - near || x > Math.max(c[0], c[2], c[4], c[6]) + near || y < Math.min(c[1], c[3], c[5], c[7]) - near || y > Math.max(c[1], c[3], c[5], c[7]) + near) continue;
    for (let t = 0; t <= 1; t += 1 / 32) { const p = on(c, t), d = Math.hypot(p[0] - x, p[1] - y); if (d < near) { near = d; best = l; } }
  }
  return best;
}

function paint() {
  const s = getComputedStyle(document.documentElement);
  for (const n of ['bg', 'fg', 'soft', 'line', 'box', 'end', 'endline', 'out', 'outline', 'edge', 'unknown', 'accent', 'cell', 'hover']) colors[n] = s.getPropertyValue('--' + n).trim();
  dirty = true;
}
function size() {
  const r = canvas.getBoundingClientRect(), d = window.devicePixelRatio || 1;
  W = r.width; H = r.height; canvas.width = Math.round(W * d); canvas.height = Math.round(H * d); dirty = true;
}
function fitted(t, w) { if (ctx.measureText(t).width <= w) return t; let n = t.length; while (n > 1 && ctx.measureText(t.slice(0, n) + '…').width > w) n = Math.floor(n * 0.9); return t.slice(0, n) + '…'; }

function drawGraph() {
  ctx.translate(cam.x, cam.y); ctx.scale(cam.z, cam.z);
  const x0 = -cam.x / cam.z, y0 = -cam.y / cam.z, x1 = x0 + W / cam.z, y1 = y0 + H / cam.z;
  const inside = (x, y, w, h) => x < x1 && x + w > x0 && y < y1 && y + h > y0;
  groups.forEach((g, i) => {
    const [x, y, w, h] = g.rect; if (!shown[i] || !w || !inside(x, y, w, h)) return;
    ctx.fillStyle = colors.box; ctx.strokeStyle = colors.line; ctx.lineWidth = 1 / cam.z;
    ctx.beginPath(); ctx.roundRect(x, y, w, h, 10); ctx.fill(); ctx.stroke();
    const f = Math.min(Math.max(14, 13 / cam.z), 60, w / 6);
    ctx.fillStyle = colors.soft; ctx.font = '600 ' + f + 'px system-ui, sans-serif'; ctx.textBaseline = 'alphabetic'; ctx.textAlign = 'left';
    ctx.fillText(fitted(g.name, w - 20), x + 12, f > 20 ? y - 4 / cam.z : y + 24);
  });
  const near = picked ? (picked.end !== undefined ? picked.end : -1) : -1, focus = near >= 0 ? near : hover;
  const touching = new Set();
  if (focus >= 0) for (const [a, b] of list) { if (a === focus) touching.add(b); if (b === focus) touching.add(a); }
  for (const [a, b, i] of list) {
    const c = curve(a, b), e = edges[i], sel = picked && picked.edge && picked.edge[0] === a && picked.edge[1] === b;
    if (!inside(Math.min(c[0], c[2], c[4], c[6]), Math.min(c[1], c[3], c[5], c[7]), Math.abs(c[6] - c[0]) + 200, Math.abs(c[7] - c[1]) + 60)) continue;
    const bright = sel || a === focus || b === focus;
    ctx.globalAlpha = focus >= 0 && !bright ? 0.12 : !sel && list.length > 600 ? 0.3 : 0.9;
    ctx.strokeStyle = ctx.fillStyle = sel ? colors.accent : e.state === 2 ? colors.unknown : bright ? colors.fg : colors.edge;
    ctx.lineWidth = (sel ? 3 : 1.4) / Math.max(cam.z, 0.5);
    ctx.setLineDash(e.state === 1 ? [6, 4] : e.state === 2 ? [2, 4] : []);
    ctx.beginPath(); ctx.moveTo(c[0], c[1]); ctx.bezierCurveTo(c[2], c[3], c[4], c[5], c[6], c[7]); ctx.stroke(); ctx.setLineDash([]);
    if (cam.z > 0.25) {
      const p = on(c, 0.96), q = Math.atan2(c[7] - p[1], c[6] - p[0]), n = 8;
      ctx.beginPath(); ctx.moveTo(c[6], c[7]); ctx.lineTo(c[6] - n * Math.cos(q - 0.42), c[7] - n * Math.sin(q - 0.42)); ctx.lineTo(c[6] - n * Math.cos(q + 0.42), c[7] - n * Math.sin(q + 0.42)); ctx.fill();
    }
    if (cam.z > 0.7 && (bright || list.length < 150)) {
      const [lx, ly] = on(c, 0.66), words = e.text.length > 26 ? e.text.slice(0, 25) + '…' : e.text;
      ctx.font = '10.5px system-ui, sans-serif'; ctx.textAlign = 'center'; ctx.textBaseline = 'middle';
      const w = ctx.measureText(words).width + 6; ctx.globalAlpha *= 0.9; ctx.fillStyle = colors.box; ctx.fillRect(lx - w / 2, ly - 7, w, 14);
      ctx.globalAlpha = focus >= 0 && !bright ? 0.15 : 1; ctx.fillStyle = colors.soft; ctx.fillText(words, lx, ly);
    }
  }
  ctx.globalAlpha = 1; ctx.font = '12px system-ui, sans-serif'; ctx.textAlign = 'center'; ctx.textBaseline = 'middle';
  ends.forEach((e, i) => {
    const [x, y] = e.at; if (!visible(i) || !inside(x, y, NW, NH)) return;
    const outside = ['Internet', 'Addresses', 'Nodes', 'Name'].includes(e.kind);
    ctx.globalAlpha = !matches(i) && text ? 0.25 : focus >= 0 && i !== focus && !touching.has(i) ? 0.4 : 1;
    ctx.fillStyle = outside ? colors.out : colors.end; ctx.strokeStyle = outside ? colors.outline : colors.endline; ctx.lineWidth = 1.2;
    if (i === near || i === current || text && matches(i)) { ctx.strokeStyle = colors.accent; ctx.lineWidth = 2.6; }
    ctx.beginPath();
    if (cam.z > 0.3) ctx.roundRect(x, y, NW, NH, outside ? 15 : 6); else ctx.rect(x, y, NW, NH);
    ctx.fill(); if (cam.z > 0.15) ctx.stroke();
    if (outward.has(i)) { ctx.fillStyle = colors.unknown; ctx.beginPath(); ctx.arc(x + NW - 3, y + 3, Math.min(12, Math.max(4.5, 2 / cam.z)), 0, 7); ctx.fill(); }
    if (cam.z > 0.42) { ctx.fillStyle = colors.fg; ctx.fillText(fitted(e.name, NW - 14), x + NW / 2, y + NH / 2 + 0.5); }
  });
  ctx.globalAlpha = 1;
}

// Rows and columns of the matrix: a workload, or a namespace that is folded.
let items = null;
function matrixItems() {
  if (items) return items;
  items = [];
  const order = groups.map((_, i) => i);
  for (const g of order) {
    if (!shown[g]) continue;
    const all = members[g];
    if (folded[g]) items.push({ group: g, all });
    else { items.push({ group: g, all, head: true }); for (const i of all) if (matches(i)) items.push({ end: i, group: g }); }
  }
  cursor.r = Math.min(cursor.r, Math.max(0, items.length - 1)); cursor.c = Math.min(cursor.c, Math.max(0, items.length - 1));
  sums.clear();
  return items;
}
const members = groups.map(() => []);
ends.forEach((e, i) => members[e.group].push(i));
const sums = new Map();
/// What a cell holds: an edge, or how many pairs of a namespace are connected.
function cell(r, c) {
  if (r.head || c.head) return null;
  if (r.end !== undefined && c.end !== undefined) { const i = row(r.end)[c.end]; return i >= 0 && carries(edges[i]) ? { edge: i } : null; }
  const k = (r.end !== undefined ? 'e' + r.end : 'g' + r.group) + '>' + (c.end !== undefined ? 'e' + c.end : 'g' + c.group);
  if (!sums.has(k)) {
    const from = r.end !== undefined ? [r.end] : r.all, to = c.end !== undefined ? [c.end] : c.all;
    const f = new Set(from), t = new Set(to); let count = 0;
    edges.forEach(e => { if (carries(e)) { const a = e.from.filter(x => f.has(x)), b = e.to.filter(x => t.has(x)); count += e.loop ? (a.length && b.length ? 1 : 0) : a.length * b.length - a.filter(x => e.to.set.has(x) && t.has(x)).length; } });
    sums.set(k, count ? { count, of: from.length * to.length } : null);
  }
  return sums.get(k);
}
function drawMatrix() {
  const all = matrixItems(), first = v => Math.max(0, Math.floor(v / CELL));
  const r0 = first(scroll.y), r1 = Math.min(all.length, r0 + Math.ceil((H - ROOM) / CELL) + 1), c0 = first(scroll.x), c1 = Math.min(all.length, c0 + Math.ceil((W - ROOM) / CELL) + 1);
  const X = c => ROOM + c * CELL - scroll.x, Y = r => ROOM + r * CELL - scroll.y;
  ctx.save(); ctx.beginPath(); ctx.rect(ROOM, ROOM, W - ROOM, H - ROOM); ctx.clip();
  for (let r = r0; r < r1; r++) {
    if (all[r].head) { ctx.fillStyle = colors.box; ctx.fillRect(ROOM, Y(r), Math.min(W, X(all.length)) - ROOM, CELL); }
    for (let c = c0; c < c1; c++) {
      if (all[c].head && r === r0) { ctx.fillStyle = colors.box; ctx.fillRect(X(c), ROOM, CELL, Math.min(H, Y(all.length)) - ROOM); }
      const what = cell(all[r], all[c]);
      if (all[r].end !== undefined && all[r].end === all[c].end) { ctx.fillStyle = colors.line; ctx.fillRect(X(c) + 7, Y(r) + 7, 4, 4); }
      if (!what) continue;
      ctx.globalAlpha = what.edge !== undefined ? 1 : 0.25 + 0.75 * Math.min(1, what.count / what.of);
      const s = what.edge !== undefined ? edges[what.edge].state : 0;
      ctx.fillStyle = s === 2 ? colors.unknown : colors.cell;
      if (s === 1) { ctx.fillRect(X(c) + 2, Y(r) + 2, CELL - 4, (CELL - 4) / 2); } else ctx.fillRect(X(c) + 2, Y(r) + 2, CELL - 4, CELL - 4);
      ctx.globalAlpha = 1;
    }
  }
  ctx.strokeStyle = colors.line; ctx.lineWidth = 0.5; ctx.beginPath();
  for (let r = r0; r <= r1; r++) { ctx.moveTo(ROOM, Y(r)); ctx.lineTo(X(c1), Y(r)); }
  for (let c = c0; c <= c1; c++) { ctx.moveTo(X(c), ROOM); ctx.lineTo(X(c), Y(r1)); }
  ctx.stroke();
  ctx.strokeStyle = colors.accent; ctx.lineWidth = 2; ctx.strokeRect(X(cursor.c), Y(cursor.r), CELL, CELL);
  ctx.restore();
  ctx.textBaseline = 'middle';
  const name = it => it.end !== undefined ? ends[it.end].name : (it.head ? '▾ ' : '▸ ') + groups[it.group].name;
  const label = (it, here) => { ctx.font = (it.end === undefined ? '600 ' : '') + '12px system-ui, sans-serif'; ctx.fillStyle = here ? colors.accent : it.end === undefined ? colors.soft : colors.fg; return fitted(name(it), ROOM - 22); };
  ctx.save(); ctx.beginPath(); ctx.rect(0, ROOM, ROOM, H); ctx.clip(); ctx.textAlign = 'right';
  for (let r = r0; r < r1; r++) ctx.fillText(label(all[r], r === cursor.r), ROOM - 8, Y(r) + CELL / 2);
  ctx.restore(); ctx.save(); ctx.beginPath(); ctx.rect(ROOM, 0, W, ROOM); ctx.clip(); ctx.textAlign = 'left';
  for (let c = c0; c < c1; c++) { ctx.save(); ctx.translate(X(c) + CELL / 2, ROOM - 8); ctx.rotate(-Math.PI / 2); ctx.fillText(label(all[c], c === cursor.c), 0, 0); ctx.restore(); }
  ctx.restore();
  ctx.fillStyle = colors.soft; ctx.font = '12px system-ui, sans-serif'; ctx.textAlign = 'right'; ctx.fillText('client ↓   server →', ROOM - 8, ROOM - 12);
}
function frame() {
  if (dirty) {
    dirty = false;
    const d = window.devicePixelRatio || 1;
    ctx.setTransform(d, 0, 0, d, 0, 0); ctx.fillStyle = colors.bg; ctx.fillRect(0, 0, W, H);
    if (view === 'graph') drawGraph(); else drawMatrix();
  }
  requestAnimationFrame(frame);
}

// Details.
function rowButton(name, small, act) { const li = el('li'), b = el('button'); b.append(el('span', name), el('small', small)); b.addEventListener('click', act); li.append(b); return li; }
function section(title, found) {
  if (!found.length) return;
  panel.append(el('h4', title + ' (' + found.length + ')'));
  const ul = el('ul', undefined, 'rows');
  for (const [name, small, act] of found.slice(0, 200)) ul.append(rowButton(name, small, act));
  panel.append(ul);
  if (found.length > 200) panel.append(el('p', (found.length - 200) + ' more', 'soft'));
}
function overview() {
  panel.replaceChildren(el('h3', 'Who can reach whom'), el('p', 'Select a workload or a connection.', 'soft'));
  for (const n of data.notes) panel.append(el('p', n, 'soft'));
  if (!text) section('Exposed', data.exposures.map((x, i) => [title(x), exposureWords(x), () => pickExposure(i)]));
  if (text) section('Found', ends.map((e, i) => i).filter(i => visible(i) && matches(i)).map(i => [ends[i].label, ends[i].kind, () => pickEnd(i, true)]));
}
const title = x => x.to.length === 0 ? x.through : x.to.length === 1 ? ends[x.to[0]].label : x.to.length + ' ' + data.unit;
const exposureWords = x => x.who + ': ' + x.text;
function pickExposure(i) {
  const x = data.exposures[i];
  picked = x.to.length === 1 ? { end: x.to[0] } : null; current = x.to.length === 1 ? x.to[0] : current; refresh();
  panel.replaceChildren(el('h3', 'Exposed to ' + x.who), el('p', x.text, 'ports'));
  if (x.through) panel.append(el('p', 'through ' + x.through));
  for (const n of x.notes) panel.append(el('p', n, 'soft'));
  section(data.unit[0].toUpperCase() + data.unit.slice(1), x.to.map(e => [ends[e].label, ends[e].kind, () => pickEnd(e, true)]));
  if (x.rule !== undefined) { const r = data.rules[x.rule]; panel.append(el('h4', 'Selected by'), el('p', r.title), el('p', r.what + (r.at ? ' at ' + r.at : ''), 'soft')); if (r.yaml) panel.append(el('pre', r.yaml)); }
  say('Exposed to ' + x.who + ': ' + x.text);
}
function pickEnd(i, go) {
  picked = { end: i }; current = i; refresh();
  const e = ends[i];
  panel.replaceChildren(el('h3', e.label), el('p', e.kind + (e.pods !== undefined ? ', ' + e.pods + (e.pods === 1 ? ' pod' : ' pods') : ''), 'soft'));
  if (e.ranges) panel.append(el('p', e.ranges.join(' '), 'soft'));
  const r = row(i), reach = [], by = [];
  for (let b = 0; b < N; b++) if (r[b] >= 0 && carries(edges[r[b]])) reach.push([ends[b].label, edges[r[b]].text, () => pickEdge(i, b, r[b])]);
  for (const k of into[i]) if (carries(edges[k])) for (const a of edges[k].from) if (a !== i || edges[k].loop) by.push([ends[a].label, edges[k].text, () => pickEdge(a, i, k)]);
  section('Exposed to', exposed[i].map(k => [data.exposures[k].who, data.exposures[k].text, () => pickExposure(k)]));
  section('Reaches', reach); section('Reached by', by);
  say(e.label + ': reaches ' + reach.length + ', reached by ' + by.length);
  if (go && view === 'graph') { cam.z = Math.max(cam.z, 0.8); cam.x = W / 2 - (e.at[0] + NW / 2) * cam.z; cam.y = H / 2 - (e.at[1] + NH / 2) * cam.z; dirty = true; }
}
function pickEdge(a, b, i) {
  const e = edges[i];
  picked = { edge: [a, b] }; refresh();
  panel.replaceChildren(el('h3', ends[a].label + ' → ' + ends[b].label), el('p', e.text, 'ports'));
  const jump = el('ul', undefined, 'rows');
  jump.append(rowButton(ends[a].label, 'client', () => pickEnd(a, true)), rowButton(ends[b].label, 'server', () => pickEnd(b, true)));
  panel.append(jump, el('h4', 'Decided by'));
  if (e.example && (e.example[0] !== a || e.example[1] !== b)) panel.append(el('p', 'Found for ' + ends[e.example[0]].label + ' → ' + ends[e.example[1]].label + ', which has the same ports.', 'soft'));
  for (const d of e.free) panel.append(el('p', 'No policy restricts ' + d + '.', 'soft'));
  for (const k of e.rules) {
    const r = data.rules[k];
    panel.append(el('p', r.title), el('p', r.what + (r.at ? ' at ' + r.at : ''), 'soft'));
    if (r.yaml) panel.append(el('pre', r.yaml));
  }
  if (!e.rules.length && !e.free.length) panel.append(el('p', 'No rule was looked up for this connection.', 'soft'));
  say(ends[a].label + ' to ' + ends[b].label + ': ' + e.text);
}
function pickCell(r, c) {
  const all = matrixItems(), a = all[r], b = all[c];
  cursor = { r, c }; dirty = true;
  if (!a || !b) return;
  const what = cell(a, b);
  if (what && what.edge !== undefined) return pickEdge(a.end, b.end, what.edge);
  const name = it => it.end !== undefined ? ends[it.end].label : groups[it.group].name;
  picked = null;
  panel.replaceChildren(el('h3', name(a) + ' → ' + name(b)), el('p', what ? what.count + ' of ' + what.of + ' pairs are connected.' : a.head || b.head ? 'A namespace: select its name to fold it.' : 'Closed.', 'soft'));
  say(name(a) + ' to ' + name(b) + ': ' + (what ? what.count + ' pairs' : 'closed'));
}
function none() { picked = null; current = -1; overview(); refresh(); }
function say(t) { $('live').textContent = t; }
function keysHelp() {
  panel.replaceChildren(el('h3', 'Keys'));
  const dl = el('dl', undefined, 'keys');
  for (const [k, t] of [['/', 'search'], ['g, m', 'graph, matrix'], ['arrows', 'move'], ['+ −', 'zoom'], ['0', 'fit'], ['n, p', 'next, previous workload'], ['Enter', 'details'], ['f', 'fold the namespace at the cursor (matrix)'], ['Esc', 'let go'], ['t', 'light or dark']]) dl.append(el('dt', k), el('dd', t));
  panel.append(dl); panel.focus();
}

// Views, filters, theme.
function fit() {
  let x0 = 1e9, y0 = 1e9, x1 = -1e9, y1 = -1e9;
  groups.forEach((g, i) => { const [x, y, w, h] = g.rect; if (shown[i] && w) { x0 = Math.min(x0, x); y0 = Math.min(y0, y); x1 = Math.max(x1, x + w); y1 = Math.max(y1, y + h); } });
  if (x1 > x0) { cam.z = Math.min(1.6, (W - 40) / (x1 - x0), (H - 60) / (y1 - y0)); cam.x = (W - (x1 - x0) * cam.z) / 2 - x0 * cam.z; cam.y = (H - (y1 - y0) * cam.z) / 2 - y0 * cam.z; }
  scroll = { x: 0, y: 0 }; dirty = true;
}
function show(v) {
  view = v;
  for (const n of ['graph', 'matrix']) { $('tab-' + n).setAttribute('aria-selected', String(n === v)); $('tab-' + n).tabIndex = n === v ? 0 : -1; }
  $('stage').setAttribute('aria-labelledby', 'tab-' + v); $('legend').hidden = v !== 'graph'; canvas.style.cursor = v === 'graph' ? 'grab' : 'default';
  refresh();
}
function theme() {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  root.dataset.theme = dark ? 'light' : 'dark'; paint();
}
function fold(g) { folded[g] = !folded[g]; items = null; matrixItems(); dirty = true; say(groups[g].name + (folded[g] ? ' folded' : ' unfolded')); }
$('tab-graph').addEventListener('click', () => show('graph'));
$('tab-matrix').addEventListener('click', () => show('matrix'));
for (const n of ['graph', 'matrix']) $('tab-' + n).addEventListener('keydown', e => { if (e.key === 'ArrowLeft' || e.key === 'ArrowRight') { const o = n === 'graph' ? 'matrix' : 'graph'; show(o); $('tab-' + o).focus(); e.preventDefault(); } });
let timer = 0;
const search = () => { clearTimeout(timer); text = $('search').value.trim().toLowerCase(); picked = null; overview(); refresh(); };
$('search').addEventListener('input', () => { clearTimeout(timer); timer = setTimeout(search, 80); });
$('search').addEventListener('keydown', e => { if (e.key === 'Enter') { search(); const i = ends.findIndex((_, i) => visible(i) && matches(i)); if (i >= 0) pickEnd(i, true); } });
$('port').addEventListener('input', () => { const v = $('port').value.trim(); port = /^\d+$/.test(v) ? +v : null; refresh(); if (!picked) overview(); });
$('state').addEventListener('change', () => { state = $('state').value; refresh(); });
$('fit').addEventListener('click', fit); $('theme').addEventListener('click', theme); $('keys').addEventListener('click', keysHelp);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
const boxes = groups.map((g, i) => {
  const li = el('li'), label = el('label'), box = el('input'); box.type = 'checkbox'; box.checked = true;
  box.addEventListener('change', () => { shown[i] = box.checked; refresh(); });
  label.append(box, el('span', g.name), el('small', String(members[i].length))); li.append(label); $('spaces').append(li); return box;
});
const every = on => () => { boxes.forEach((b, i) => { b.checked = shown[i] = on; }); refresh(); };
$('every').addEventListener('click', every(true)); $('none').addEventListener('click', every(false));

// Pointer.
let drag = null;
const at = e => { const r = canvas.getBoundingClientRect(); return [e.clientX - r.left, e.clientY - r.top]; };
const world = (x, y) => [(x - cam.x) / cam.z, (y - cam.y) / cam.z];
canvas.addEventListener('pointerdown', e => { const [x, y] = at(e); drag = { x, y, moved: false }; canvas.setPointerCapture(e.pointerId); });
canvas.addEventListener('pointermove', e => {
  const [x, y] = at(e);
  if (drag) {
    if (!drag.moved && Math.hypot(x - drag.x, y - drag.y) < 4) return;
    drag.moved = true;
    if (view === 'graph') { cam.x += x - drag.x; cam.y += y - drag.y; } else move(drag.x - x, drag.y - y);
    drag.x = x; drag.y = y; dirty = true; return;
  }
  if (view !== 'graph') return;
  const h = endAt(...world(x, y));
  if (h !== hover) { hover = h; canvas.style.cursor = h >= 0 ? 'pointer' : 'grab'; if (tooMany && !picked) refresh(); dirty = true; }
});
canvas.addEventListener('pointerup', e => {
  const [x, y] = at(e), was = drag; drag = null;
  if (!was || was.moved) return;
  if (view === 'matrix') {
    const all = matrixItems(), r = Math.floor((y - ROOM + scroll.y) / CELL), c = Math.floor((x - ROOM + scroll.x) / CELL);
    const one = x < ROOM ? all[r] : y < ROOM ? all[c] : null;
    if (x < ROOM && y < ROOM) return;
    if (one) return one.end !== undefined ? pickEnd(one.end) : fold(one.group);
    if (all[r] && all[c]) pickCell(r, c);
    return;
  }
  const w = world(x, y), i = endAt(...w);
  if (i >= 0) return pickEnd(i);
  const l = edgeAt(...w);
  if (l) pickEdge(...l); else none();
});
canvas.addEventListener('pointerleave', () => { if (hover >= 0 && !drag) { hover = -1; dirty = true; } });
function move(dx, dy) {
  const m = matrixItems().length * CELL + ROOM;
  scroll.x = Math.max(0, Math.min(Math.max(0, m - W + 20), scroll.x + dx)); scroll.y = Math.max(0, Math.min(Math.max(0, m - H + 20), scroll.y + dy)); dirty = true;
}
function zoom(f, x, y) { const z = Math.max(0.02, Math.min(4, cam.z * f)); cam.x = x - (x - cam.x) * z / cam.z; cam.y = y - (y - cam.y) * z / cam.z; cam.z = z; dirty = true; }
canvas.addEventListener('wheel', e => { e.preventDefault(); if (view === 'matrix') move(e.deltaX || (e.shiftKey ? e.deltaY : 0), e.shiftKey ? 0 : e.deltaY); else zoom(Math.exp(-e.deltaY * 0.0015), ...at(e)); }, { passive: false });

// Keys.
addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  const typing = ['INPUT', 'SELECT'].includes(document.activeElement.tagName) && document.activeElement.type !== 'checkbox';
  if (e.key === 'Escape') { if (typing || text) { clearTimeout(timer); $('search').value = ''; text = ''; } none(); canvas.focus(); return; }
  if (typing) return;
  const plain = { '/': () => $('search').focus(), g: () => show('graph'), m: () => show('matrix'), t: theme, '?': keysHelp, '0': fit };
  if (plain[e.key]) { e.preventDefault(); plain[e.key](); return; }
  if (document.activeElement !== canvas && document.activeElement !== document.body) return;
  const d = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[e.key];
  if (view === 'graph') {
    if (d) { cam.x -= d[0] * 60; cam.y -= d[1] * 60; dirty = true; e.preventDefault(); }
    else if (e.key === '+' || e.key === '=') zoom(1.25, W / 2, H / 2);
    else if (e.key === '-') zoom(0.8, W / 2, H / 2);
    else if (e.key === 'n' || e.key === 'p') { const s = e.key === 'n' ? 1 : -1; for (let k = 1; k <= N; k++) { const i = ((current < 0 ? (s > 0 ? -1 : 0) : current) + s * k + N * 2) % N; if (visible(i) && matches(i)) { pickEnd(i, true); break; } } }
    else if (e.key === 'Enter' && current >= 0) { pickEnd(current); panel.focus(); }
  } else {
    const all = matrixItems();
    if (d) {
      cursor.c = Math.max(0, Math.min(all.length - 1, cursor.c + d[0])); cursor.r = Math.max(0, Math.min(all.length - 1, cursor.r + d[1]));
      const x = cursor.c * CELL - scroll.x, y = cursor.r * CELL - scroll.y;
      move(x < 0 ? x : Math.max(0, x + CELL - (W - ROOM)), y < 0 ? y : Math.max(0, y + CELL - (H - ROOM)));
      pickCell(cursor.r, cursor.c); e.preventDefault();
    } else if (e.key === 'f' && all[cursor.r]) fold(all[cursor.r].group);
    else if (e.key === 'Enter') { pickCell(cursor.r, cursor.c); panel.focus(); }
  }
});

$('summary').textContent = ends.filter(e => !['Internet', 'Addresses', 'Nodes', 'Name'].includes(e.kind)).length + ' ' + data.unit + ', ' + total + ' pairs connected, network plugin profile ' + data.cni;
new ResizeObserver(() => { const first = !W; size(); if (first) fit(); }).observe(canvas);
paint(); size(); show('graph'); overview(); fit();
// A part of the address after # opens a view: #matrix, #dark, #end=shop/web, #exposure=0.
for (const word of decodeURIComponent(location.hash.slice(1)).split('&')) {
  if (word === 'matrix') show('matrix');
  if (word === 'dark' || word === 'light') { document.documentElement.dataset.theme = word; paint(); }
  if (word.startsWith('end=')) { const i = ends.findIndex(e => e.label === word.slice(4)); if (i >= 0) pickEnd(i); }
  if (word.startsWith('exposure=') && data.exposures[+word.slice(9)]) pickExposure(+word.slice(9));
  if (word.startsWith('edge=')) { const [a, b] = word.slice(5).split('>').map(l => ends.findIndex(e => e.label === l)); if (a >= 0 && b >= 0 && row(a)[b] >= 0) pickEdge(a, b, row(a)[b]); }
}
document.documentElement.dataset.ready = 'yes';
requestAnimationFrame(frame);
})();
