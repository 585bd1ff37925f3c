// The administrator: who asks, the log-in, and what is changed for him. What only he can do has the class `change`, and is not there
// for others. A change that fails is said above everything else.
(function () {
  'use strict';

  var words = window.rillWords, dom = window.rillDom, element = dom.element;
  var SAID_MS = 8000;
  var session = { admin: false, key: false, 'public': true };
  var form = null, timer = null, admin = { changed: function () {} };

  function byId(id) { return document.getElementById(id); }

  function is(name, holds) {
    var root = document.documentElement, others = root.className.split(' ').filter(function (other) { return other && other !== name; });
    root.className = (holds ? others.concat(name) : others).join(' ');
  }

  function send(method, url, body, done) {
    var request = new XMLHttpRequest();
    request.open(method, url);
    if (method === 'POST') request.setRequestHeader('Content-Type', 'application/json');
    request.onloadend = function () { done(request); };
    request.send(body);
  }

  // Above everything, for a while.
  function say(text) {
    clearTimeout(timer);
    byId('said').textContent = text;
    timer = setTimeout(function () { byId('said').textContent = ''; }, SAID_MS);
  }

  function closeForm() {
    form = null;
    byId('login').textContent = '';
  }

  function openForm() {
    var input = element('input', { type: 'password', autocomplete: 'current-password', spellcheck: 'false' }), problem = element('p', { role: 'alert' });
    form = element('form', {}, [
      element('label', { text: words('adminKey') }, [input]), element('button', { text: words('logIn') }),
      session.admin || session['public'] ? null : element('p', { text: words('closed') }), problem]);
    form.addEventListener('submit', function (event) {
      event.preventDefault();
      send('POST', '/api/login', JSON.stringify({ key: input.value }), function (request) {
        if (request.status === 200) {
          closeForm();
          admin.changed();
          return byId('who').focus();
        }
        problem.textContent = request.status === 401 || request.status === 400 ? words('wrongKey')
          : request.status === 429 ? words('waitKey', request.getResponseHeader('Retry-After')) : request.responseText || words('offline');
        input.focus();
        input.select();
      });
    });
    byId('login').textContent = '';
    byId('login').appendChild(form);
    input.focus();
  }

  function show(said) {
    var isClosed = !said.admin && !said['public'], who = byId('who');
    session = said;
    is('admin', said.admin);
    is('closed', isClosed);
    who.hidden = !said.key || isClosed;
    who.textContent = words(said.admin ? 'logOut' : 'logIn');
    if (isClosed && !said.key) byId('login').textContent = words('noKey');
    else if (isClosed && !form) openForm();
    else if (!form || said.admin || !said.key) closeForm();
  }

  // Asks who this is, and says whether there was an answer. A server that does not know the question is open to all.
  admin.look = function (then) {
    send('GET', '/api/session', null, function (request) {
      if (request.status) show(request.status === 200 ? JSON.parse(request.responseText) : { admin: false, key: false, 'public': true });
      then(request.status > 0);
    });
  };

  // Whether this page is told anything.
  admin.maySee = function () { return session.admin || session['public']; };

  // Has something changed, and then goes on. A session may have ended meanwhile.
  admin.change = function (method, url, then) {
    send(method, url, null, function (request) {
      if (request.status === 200) return then();
      say(request.status === 401 ? words('ended') : request.responseText || words('offline'));
      if (request.status === 401) admin.changed();
    });
  };

  // A button for him. What cannot be undone is asked once more, in its place, so that a remote and a keyboard reach the question, too.
  admin.button = function (text, of, click, sure) {
    var button, asked = null;
    function name(words) {
      button.textContent = words;
      button.setAttribute('aria-label', words + ': ' + of);
    }
    function forget() {
      clearTimeout(asked);
      asked = null;
      name(text);
    }
    button = element('button', { type: 'button', 'class': 'quiet-button change', click: function () {
      if (!sure || asked) {
        forget();
        return click();
      }
      name(sure);
      asked = setTimeout(forget, SAID_MS);
    } });
    name(text);
    return button;
  };

  byId('who').addEventListener('click', function () {
    if (session.admin) send('POST', '/api/logout', null, function () { admin.changed(); });
    else if (form) closeForm();
    else openForm();
  });
  byId('admin').appendChild(element('button', { type: 'button', 'class': 'quiet-button', text: words('reload'), click: function () {
    admin.change('POST', '/api/reload', function () { say(words('reloaded')); });
  } }));
  window.rillAdmin = admin;
})();
