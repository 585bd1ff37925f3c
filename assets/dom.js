// Elements made without markup, and the arrows of a keyboard or a TV's remote among them. Text from the network becomes a
// text node, never markup.
(function () {
  'use strict';

  var svg = 'http://www.w3.org/2000/svg';
  var icons = {
    play: 'M7 4v16l13-8z', pause: 'M6 4h4v16H6zM14 4h4v16h-4z',
    sound: 'M3 9v6h4l6 5V4L7 9zM16 7.5v9a5 5 0 0 0 0-9z', muted: 'M3 9v6h4l6 5V4L7 9zM15 9l1.4-1.4L18.5 10l2.1-2.4L22 9l-2.2 3 2.2 3-1.4 1.4-2.1-2.4-2.1 2.4L15 15l2.2-3z',
    full: 'M4 4h7v3H7v4H4zM13 4h7v7h-3V7h-4zM4 13h3v4h4v3H4zM17 13h3v7h-7v-3h4z',
    pip: 'M3 5h18v14H3zM5 7v10h14V7zM12 12h6v4h-6z', back10: 'M12 5V1L6 6l6 5V7a6 6 0 1 1-6 6H4a8 8 0 1 0 8-8z',
    info: 'M11 10h3v8h-3zM11 6h3v3h-3z', left: 'M15 4l-8 8 8 8 2-2-6-6 6-6z'
  };

  // element('a', {href: '/', 'class': 'x', text: 'words'}, [children])
  function element(tag, facts, children) {
    var made = document.createElement(tag), key, at;
    for (key in facts || {}) {
      if (key === 'text') made.textContent = facts[key];
      else if (key === 'click') made.addEventListener('click', facts[key]);
      else made.setAttribute(key, facts[key]);
    }
    for (at = 0; at < (children || []).length; at++) if (children[at]) made.appendChild(children[at]);
    return made;
  }

  function icon(name) {
    var made = document.createElementNS(svg, 'svg'), path = document.createElementNS(svg, 'path');
    made.setAttribute('viewBox', '0 0 24 24');
    made.setAttribute('aria-hidden', 'true');
    path.setAttribute('d', icons[name]);
    made.appendChild(path);
    return made;
  }

  // The path of a stream as a URL has it.
  function urlPath(path) {
    return path.split('/').map(encodeURIComponent).join('/');
  }

  // A page of plain http has no clipboard but this one. Whether it was copied.
  function copy(input) {
    input.focus();
    input.select();
    try { return document.execCommand('copy'); } catch (error) { return false; }
  }

  function reachable() {
    var found = [], all = document.querySelectorAll('a[href], button, input, video[controls], summary'), at, box;
    for (at = 0; at < all.length; at++) {
      box = all[at].getBoundingClientRect();
      // What is folded away has a size for newer browsers, which say so.
      if (all[at].checkVisibility && !all[at].checkVisibility()) continue;
      if (!all[at].disabled && box.width > 0 && box.height > 0) found.push({ element: all[at], box: box });
    }
    return found;
  }

  // Moves the focus to what is nearest in the direction of an arrow key. Whether there was anything.
  function moveFocus(key) {
    var from = document.activeElement, all = reachable(), best = null, least = Infinity, at, box, start, dx, dy, along, aside;
    if (!all.length) return false;
    if (!from || from === document.body) {
      // What the page is about comes before its head.
      (all.filter(function (one) { return document.querySelector('main').contains(one.element); })[0] || all[0]).element.focus();
      return true;
    }
    start = from.getBoundingClientRect();
    for (at = 0; at < all.length; at++) {
      if (all[at].element === from) continue;
      box = all[at].box;
      dx = (box.left + box.right - start.left - start.right) / 2;
      dy = (box.top + box.bottom - start.top - start.bottom) / 2;
      along = { ArrowLeft: -dx, ArrowRight: dx, ArrowUp: -dy, ArrowDown: dy }[key];
      aside = Math.abs(key === 'ArrowLeft' || key === 'ArrowRight' ? dy : dx);
      // Sideways costs more, so that a row is walked along before it is left.
      if (along > 1 && along + 3 * aside < least) { least = along + 3 * aside; best = all[at].element; }
    }
    if (best) best.focus();
    return !!best;
  }

  // The name of a key, also where `event.key` is missing (Chromium before 51) or a remote has codes of its own.
  function keyName(event) {
    var codes = { 13: 'Enter', 27: 'Escape', 32: ' ', 37: 'ArrowLeft', 38: 'ArrowUp', 39: 'ArrowRight', 40: 'ArrowDown',
      415: 'Play', 19: 'Pause', 10252: 'PlayPause', 413: 'Stop', 461: 'Back', 10009: 'Back' };
    return codes[event.keyCode] || event.key || String.fromCharCode(event.keyCode).toLowerCase();
  }

  // Set before the style is used: a TV is watched from across the room.
  if (/Tizen|Web0S|SmartTV|SMART-TV|NetCast|HbbTV|CrKey|AFT[A-Z]|BRAVIA/.test(navigator.userAgent)) {
    document.documentElement.className += ' tv';
  }

  window.rillDom = { element: element, icon: icon, urlPath: urlPath, copy: copy, moveFocus: moveFocus, keyName: keyName };
})();
