() => {
  const wrong = [], tell = (what, el) => wrong.push(`${what}: ${el.outerHTML.slice(0, 120)}`);
  const shown = (el) => el.checkVisibility({visibilityProperty: true});

  const name = (el) => (el.getAttribute('aria-label') || el.labels?.[0]?.innerText || el.innerText || '').trim();
  for (const el of document.querySelectorAll('button, a[href], input, select, textarea, summary, [tabindex="0"]')) {
    if (shown(el) && !name(el)) tell('no name', el);
  }

  const ids = [...document.querySelectorAll('[id]')].map((el) => el.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) wrong.push(`twice: ${id}`);
  for (const el of document.querySelectorAll('table')) if (!el.caption?.innerText) tell('no caption', el);
  for (const el of document.querySelectorAll('th')) if (!el.scope) tell('no scope', el);
  for (const el of document.querySelectorAll('[aria-controls]')) if (!document.getElementById(el.getAttribute('aria-controls'))) tell('controls nothing', el);

  // Contrast as WCAG 2 defines it, of the text of each element with the ground that is painted below it.
  const linear = (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const over = (colour, under) => {
    for (const fill of [`rgb(${under})`, colour]) {
      canvas.fillStyle = fill;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const ground = (el) => (el ? over(getComputedStyle(el).backgroundColor, ground(el.parentElement)) : [255, 255, 255]);
  for (const el of document.querySelectorAll('body *')) {
    const text = [...el.childNodes].some((node) => node.nodeType === 3 && node.nodeValue.trim());
    if (!text || !shown(el) || el.closest(':disabled, .unseen, svg, option')) continue;
    const under = ground(el), all = [light(over(getComputedStyle(el).color, under)), light(under)];
    const contrast = (Math.max(...all) + 0.05) / (Math.min(...all) + 0.05);
    if (contrast < 4.5) tell(`contrast ${contrast.toFixed(2)}`, el);
  }
  return wrong;
}
