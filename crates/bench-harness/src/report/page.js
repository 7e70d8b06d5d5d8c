'use strict';

// Tables: a button in each heading sorts the rows up, down, and back into their order. Missing values stay at the end.
const words = new Intl.Collator(undefined, { numeric: true });

function numeric(cell) {
  if ('value' in cell.dataset) return Number(cell.dataset.value);
  const text = cell.textContent.trim().replace(/\s*±.*$/, '').replaceAll(',', '').replaceAll('−', '-');
  const found = /^([-+]?\d*\.?\d+(?:e[-+]?\d+)?)\s*[%×]?$/i.exec(text);
  return found ? Number(found[1]) : NaN;
}

function missing(cell) {
  return cell.classList.contains('missing') || cell.textContent.trim() === '' || cell.dataset.value === 'NaN';
}

function sorted(rows, column, down) {
  const cells = rows.map(row => row.cells[column]);
  const present = cells.filter(cell => !missing(cell));
  const numbers = present.every(cell => !Number.isNaN(numeric(cell)));
  const compare = (a, b) => numbers
    ? Math.sign(numeric(a) - numeric(b)) || 0
    : words.compare(a.textContent.trim(), b.textContent.trim());
  return [...rows].sort((a, b) => {
    const [left, right] = [a.cells[column], b.cells[column]];
    if (missing(left) || missing(right)) return missing(left) - missing(right);
    return down ? compare(right, left) : compare(left, right);
  });
}

for (const table of document.querySelectorAll('table.sortable')) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  if (rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.title = 'Sort by this column';
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener('click', () => {
      const next = { ascending: 'descending', descending: null }[head.ariaSort];
      const order = next === undefined ? 'ascending' : next;
      for (const other of heads) other.removeAttribute('aria-sort');
      if (order) head.setAttribute('aria-sort', order);
      body.append(...(order ? sorted(rows, column, order === 'descending') : rows));
    });
  });
}

// Charts: the value of the point next to the pointer or the finger; arrow keys go from point to point.
const REACH = 36;

for (const figure of document.querySelectorAll('figure.chart')) {
  const svg = figure.querySelector('svg');
  const groups = [...svg.querySelectorAll('.hits > g')].map(group => [...group.children].map(mark => {
    const title = mark.querySelector('title');
    title.remove();
    const box = mark.getBBox();
    const rule = mark.localName === 'rect';
    return { mark, rule, text: title.textContent, x: box.x + box.width / 2, y: box.y + box.height / 2 };
  })).filter(group => group.length);
  const points = groups.flat();
  if (!points.length) continue;
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.setAttribute('role', 'status');
  figure.append(tip);
  svg.setAttribute('tabindex', '0');
  svg.setAttribute('aria-label', svg.getAttribute('aria-label') + '. Arrow keys read its points.');
  let shown = null;

  const scale = () => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;

  function hide() {
    shown?.mark.classList.remove('at');
    shown = null;
    tip.classList.remove('on');
  }

  function show(point, x) {
    if (point !== shown) {
      hide();
      shown = point;
      point.mark.classList.add('at');
      tip.textContent = point.text;
    }
    tip.classList.add('on');
    const [frame, box] = [figure.getBoundingClientRect(), svg.getBoundingClientRect()];
    const left = box.left - frame.left + (x ?? point.x * scale());
    const top = box.top - frame.top + point.y * scale();
    const above = top - tip.offsetHeight - 12;
    tip.style.left = Math.max(0, Math.min(left - tip.offsetWidth / 2, frame.width - tip.offsetWidth)) + 'px';
    tip.style.top = (above < 0 ? top + 12 : above) + 'px';
  }

  function near(event) {
    const box = svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let [best, least] = [null, REACH];
    for (const point of points) {
      const across = point.rule ? 0 : x - point.x * scale();
      // A point on a rule goes before the rule.
      const away = Math.hypot(across, y - point.y * scale()) + (point.rule ? REACH / 2 : 0);
      // Of points in one place the one drawn last, which lies on top.
      if (away <= least) [best, least] = [point, away];
    }
    if (best) show(best, best.rule ? x : undefined);
    else hide();
  }

  function step(key) {
    const group = groups.findIndex(all => all.includes(shown));
    if (group < 0) return groups.find(all => !all[0].rule)?.[0] ?? points[0];
    const at = groups[group].indexOf(shown);
    const other = groups[(group + (key === 'ArrowDown' ? 1 : groups.length - 1)) % groups.length];
    const closest = () => other.reduce((a, b) => Math.abs(b.x - shown.x) < Math.abs(a.x - shown.x) ? b : a);
    switch (key) {
      case 'ArrowRight': return groups[group][Math.min(at + 1, groups[group].length - 1)];
      case 'ArrowLeft': return groups[group][Math.max(at - 1, 0)];
      case 'Home': return groups[group][0];
      case 'End': return groups[group].at(-1);
      default: return closest();
    }
  }

  svg.addEventListener('pointermove', near);
  svg.addEventListener('pointerdown', near);
  svg.addEventListener('pointerleave', event => { if (event.pointerType === 'mouse') hide(); });
  svg.addEventListener('blur', hide);
  svg.addEventListener('keydown', event => {
    if (event.key === 'Escape') hide();
    if (!/^(Arrow(Up|Down|Left|Right)|Home|End)$/.test(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    show(step(event.key));
  });
}

// Pictures are their own data.
for (const figure of document.querySelectorAll('figure.image')) {
  const image = figure.querySelector('img');
  const caption = figure.querySelector('figcaption') ?? figure.appendChild(document.createElement('figcaption'));
  const link = document.createElement('a');
  link.className = 'data';
  link.download = (image.alt.toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-+|-+$/g, '') || 'picture') + '.png';
  link.href = image.src;
  link.textContent = 'Picture (PNG)';
  caption.append(' ', link);
}
