// The page: what is live, what to type so that something is, and what was recorded. The server sends its state when it changes
// (server-sent events); each message is the whole of it, so a page that slept has missed nothing.
(function () {
  'use strict';

  var words = window.rillWords, dom = window.rillDom, admin = window.rillAdmin, element = dom.element;
  var PICTURE_EVERY_MS = 10000;
  var RETRY_MS = 1000;
  var RETRY_MOST_MS = 10000;
  // A file of a recording is there, or complete, a little later than its stream says so.
  var FILE_MS = 1500;
  var PUSHES_EVERY_MS = 5000;
  var PUSH_STATES = { waiting: 'pushWaits', connecting: 'pushConnects', running: 'pushRuns', ending: 'pushEnds' };
  var NAME = 'cam1';

  var status = null, events = null, retryMs = RETRY_MS, retry = null, cards = {}, shownHost = null, shownWrong = '', recorded = null, pushes = [], pushing = null;

  function byId(id) { return document.getElementById(id); }

  function duration(seconds) {
    if (seconds < 60) return words('seconds', Math.floor(seconds));
    if (seconds < 3600) return words('minutes', Math.floor(seconds / 60));
    return words('hours', Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60);
  }

  function bits(bps) {
    return bps < 1e6 ? Math.round(bps / 1000) + ' kbit/s' : (bps / 1e6).toFixed(1) + ' Mbit/s';
  }

  function bytes(count) {
    return count < 1e6 ? Math.ceil(count / 1000) + ' kB' : count < 1e9 ? (count / 1e6).toFixed(1) + ' MB' : (count / 1e9).toFixed(2) + ' GB';
  }

  function seconds(ms) { return ms < 1000 ? ms + ' ms' : (ms / 1000).toFixed(1) + ' s'; }

  // Where encoders reach the server: a number, since names ending in .local are not known to TVs, drones and old phones.
  function host() {
    var name = location.hostname, numeric = /^[\d.]+$|^\[/.test(name) && !/^127\./.test(name) && name !== '[::1]';
    return numeric || !status || !status.address ? name : status.address;
  }

  function server() {
    return 'rtmp://' + host() + (status && status.rtmp_port && status.rtmp_port !== 1935 ? ':' + status.rtmp_port : '') + '/live';
  }

  // A field to copy from.
  function field(label, value) {
    var input = element('input', { readonly: '', value: value, 'aria-label': label });
    var button = element('button', { type: 'button', text: words('copy'), click: function () {
      button.textContent = words(dom.copy(input) ? 'copied' : 'copy');
      setTimeout(function () { button.textContent = words('copy'); }, 2000);
    } });
    button.setAttribute('aria-label', words('copy') + ': ' + label);
    input.addEventListener('focus', function () { input.select(); });
    return element('label', { text: label }, [element('div', { 'class': 'copy' }, [input, button])]);
  }

  function way(title, where, fields) {
    return element('div', { 'class': 'way' }, [element('h3', { text: title }), element('p', { text: where })].concat(fields));
  }

  // What to type. Made anew only where the address changes, or whoever copies from it would lose his selection.
  function showAdd(nothing) {
    var key = server() + nothing, place = byId('add'), ways, port = location.port ? ':' + location.port : '';
    if (key === shownHost) return;
    shownHost = key;
    ways = element('div', { 'class': 'ways' }, [
      way('OBS Studio', words('obs'), [field(words('server'), server()), field(words('key'), NAME), element('p', { text: words('keyHint') })]),
      element('div', { 'class': 'way scan' }, [
        element('h3', { text: words('scan') }),
        element('img', { src: '/api/qr.svg?for=' + encodeURIComponent(host() + port), alt: 'http://' + host() + port + '/' }),
        element('p', { text: 'http://' + host() + port + '/' })
      ]),
      way(words('droneTitle'), words('drone'), [field(words('url'), server() + '/' + NAME)]),
      way('Larix Broadcaster', words('larix'), [field(words('url'), server() + '/' + NAME)]),
      way('ffmpeg', words('ffmpegText'), [field(words('command'), 'ffmpeg -re -i video.mp4 -c copy -f flv ' + server() + '/' + NAME)])
    ]);
    ways.lastChild.className += ' long';
    place.textContent = '';
    // What to type comes first where there is nothing to watch, and last where there is.
    place.parentNode.insertBefore(place, byId(nothing ? 'recorded' : 'tables'));
    if (nothing) {
      place.appendChild(element('div', { 'class': 'hello' }, [element('h2', { text: words('nothing') }), element('p', { text: words('nothingText') })]));
      place.appendChild(ways);
    } else {
      place.appendChild(element('details', {}, [element('summary', { text: words('addOne') }), ways]));
    }
  }

  // A stream's card. Its nodes stay while it is there, so that the focus of a remote does.
  function Card(stream) {
    var card = this, href = '/watch/' + dom.urlPath(stream.path) + location.search;
    this.stream = stream;
    this.badge = element('span', { 'class': 'badge' });
    this.canvas = element('canvas', { width: 0, height: 0, role: 'img', 'aria-label': words('preview', stream.path) });
    this.only = element('span', { 'class': 'only' });
    this.recording = element('span', { 'class': 'badge recording', text: '● ' + words('recording'), hidden: '' });
    this.picture = element('a', { 'class': 'picture', href: href, tabindex: '-1', 'aria-hidden': 'true' }, [this.canvas, this.only, this.badge, this.recording, element('span', { 'class': 'start' }, [dom.icon('play')])]);
    this.record = admin.button('', stream.path, function () {
      admin.change('POST', '/api/streams/' + dom.urlPath(stream.path) + '/record/' + (card.stream.recording ? 'stop' : 'start'), function () {});
    });
    this.lines = [0, 1, 2].map(function () { return element('p'); });
    this.sent = element('div', { 'class': 'sent' });
    this.root = element('article', { 'class': 'card' }, [this.picture, element('div', { 'class': 'facts' }, [
      element('h2', { text: stream.path })].concat(this.lines, [
      this.sent, element('p', { 'class': 'go' }, [element('a', { 'class': 'button', href: href, text: words('watch'), 'aria-label': words('watch') + ': ' + stream.path }), this.record])]))]);
    this.drawn = 0;
  }

  function viewers(stream) {
    var kinds = [], total = 0, kind, names = { rtmp: 'RTMP', ws: 'browser', hls: 'HLS', flv: 'FLV' };
    for (kind in stream.viewers) {
      total += stream.viewers[kind];
      if (stream.viewers[kind]) kinds.push(names[kind] + ' ' + stream.viewers[kind]);
    }
    return (total === 1 ? words('oneViewer') : words('viewersOf', total)) + (kinds.length ? ' (' + kinds.join(', ') + ')' : '');
  }

  // A number and its unit stay in one line.
  function joined(parts) { return parts.filter(Boolean).join(' · ').replace(/(\d) (?=(s|ms|min|h|fps|[kM]bit|kHz)\b)/g, '$1\u00a0'); }

  Card.prototype.show = function (stream) {
    var live = stream.state === 'live';
    this.stream = stream;
    this.badge.textContent = live ? words('live') : words('stateAway');
    this.badge.className = live ? 'badge' : 'badge away';
    this.only.textContent = live && !stream.video ? words('soundOnly') : '';
    this.lines[0].textContent = joined([stream.video, stream.audio]);
    this.lines[1].textContent = joined([
      stream.fps ? stream.fps.toFixed(stream.fps % 1 ? 2 : 0) + ' fps' : '', stream.bitrate_bps ? bits(stream.bitrate_bps) : '',
      stream.key_frame_ms ? words('keyFrame', seconds(stream.key_frame_ms)) : '', words('since', duration(stream.seconds))]);
    this.lines[2].textContent = joined([viewers(stream), stream.worst_lag_ms > 500 ? words('lag', seconds(stream.worst_lag_ms)) : '', stream.skips ? words('skips', stream.skips) : '']);
    if (this.recording.hidden === !!stream.recording) recorded = recorded || setTimeout(askRecorded, FILE_MS);
    this.recording.hidden = !stream.recording;
    this.record.hidden = !live;
    this.record.textContent = words(stream.recording ? 'stopRecording' : 'record');
    this.record.setAttribute('aria-label', this.record.textContent + ': ' + stream.path);
    if (live && stream.video && Date.now() - this.drawn > PICTURE_EVERY_MS) this.draw();
  };

  // To which other servers it is sent, and how that goes.
  Card.prototype.showSent = function () {
    var card = this;
    this.sent.textContent = '';
    pushes.forEach(function (push) {
      if (push.app + '/' + push.stream !== card.stream.path) return;
      card.sent.appendChild(element('p', { text: '→ ' + joined([
        push.url, words(PUSH_STATES[push.state]), push.bitrate_bps ? bits(push.bitrate_bps) : '',
        push.lag_ms > 500 ? words('pushLag', seconds(push.lag_ms)) : '', push.error]) }));
    });
  };

  // The newest key frame, as the browser decodes it. The video goes as soon as its picture is in the canvas: TVs have one decoder.
  Card.prototype.draw = function () {
    var card = this, canvas = this.canvas, video = element('video', { muted: '', playsinline: '', preload: 'auto', 'aria-hidden': 'true', tabindex: '-1' });
    var query = location.search ? location.search + '&' : '?';
    this.drawn = Date.now();
    if (this.video) this.done();
    this.video = video;
    video.muted = true;
    video.addEventListener('loadeddata', function () {
      if (!video.videoWidth) return;
      canvas.width = Math.min(video.videoWidth, 960);
      canvas.height = Math.round(canvas.width * video.videoHeight / video.videoWidth);
      canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
      card.pictured = true;
      if (card.video === video) card.done();
    });
    video.addEventListener('error', function () { if (card.video === video) card.done(); });
    this.picture.insertBefore(video, this.canvas);
    video.src = '/' + dom.urlPath(this.stream.path) + '.key.mp4' + query + 't=' + this.drawn;
  };

  Card.prototype.done = function () {
    var video = this.video;
    this.video = null;
    if (video.parentNode) video.parentNode.removeChild(video);
    video.removeAttribute('src');
    video.load();
  };

  function showLive() {
    var place = byId('live'), seen = {}, path, streams = status.streams.filter(function (stream) { return stream.state !== 'waiting'; });
    streams.forEach(function (stream) {
      seen[stream.path] = true;
      if (!cards.hasOwnProperty(stream.path)) {
        place.appendChild((cards[stream.path] = new Card(stream)).root);
        pushing = pushing || setTimeout(askPushes, 0);
      }
      cards[stream.path].show(stream);
      cards[stream.path].root.className = streams.length === 1 ? 'card alone' : 'card';
    });
    for (path in cards) {
      if (seen.hasOwnProperty(path)) continue;
      if (cards[path].video) cards[path].done();
      place.removeChild(cards[path].root);
      delete cards[path];
    }
    place.hidden = !streams.length;
    return streams.length;
  }

  // Made anew only where it says something else: who hears the page read would hear it again each second.
  function showWrong() {
    var place = byId('wrong'), findings = status.findings || [], rows = findings.map(window.rillWrong);
    var key = JSON.stringify([findings.map(function (finding) { return finding.stream; }), rows]);
    if (key === shownWrong) return;
    shownWrong = key;
    place.textContent = '';
    rows.forEach(function (row, at) {
      place.appendChild(element('p', {}, [
        element('strong', { text: findings[at].stream ? findings[at].stream + ': ' : '' }),
        element('span', { text: row.what }), element('small', { text: row.remedy })]));
    });
    place.hidden = !rows.length;
  }

  function show() {
    showWrong();
    var live = showLive();
    showAdd(!live);
    byId('foot').textContent = 'Rill ' + status.version;
    document.title = live ? '● ' + live + ' – Rill' : 'Rill';
  }

  function hear(text) {
    status = JSON.parse(text);
    retryMs = RETRY_MS;
    byId('state').textContent = '';
    show();
  }

  function quit() {
    clearTimeout(retry);
    clearTimeout(pushing);
    pushing = null;
    if (events) events.close();
    events = null;
  }

  function lost() {
    quit();
    byId('state').textContent = words('offline');
    retry = setTimeout(begin, retryMs);
    retryMs = Math.min(retryMs * 2, RETRY_MOST_MS);
  }

  // Who this is comes first: a server that is not public tells others nothing.
  function begin() {
    quit();
    admin.look(function (answers) {
      if (document.hidden) return;
      quit();
      if (!answers) return lost();
      byId('state').textContent = '';
      if (!admin.maySee()) return;
      events = new EventSource('/api/events' + location.search);
      events.onmessage = function (message) { hear(message.data); };
      events.onerror = lost;
      askRecorded();
      askPushes();
    });
  }

  function focusable(place) { return Array.prototype.slice.call(place.querySelectorAll('button, a')); }

  // What was recorded, asked for once, whenever the page is looked at again, and when a recording begins or ends.
  function showRecorded(lists) {
    var place = byId('recorded'), focus = focusable(place).indexOf(document.activeElement), now;
    place.textContent = '';
    ['recordings', 'films'].forEach(function (kind) {
      var rows = lists[kind] || [], folder = kind === 'films' ? '/vod-files/' : '/recordings/';
      if (!rows.length) return;
      place.appendChild(element('h2', { text: words(kind) }));
      place.appendChild(element('ul', { 'class': 'list' }, rows.map(function (file) {
        var name = file.file, url = folder + dom.urlPath(name) + location.search;
        return element('li', {}, [
          element('span', { 'class': 'what', text: name }, [element('small', { text: joined([file.state === 'recording' ? '● ' + words('recording') : '', file.seconds ? duration(file.seconds) : '', bytes(file.bytes)]) })]),
          element('button', { type: 'button', text: words('play'), 'aria-label': words('play') + ': ' + name, click: function () { playFile(name, url); } }),
          element('a', { 'class': 'button quiet-button', href: url, download: '', text: words('download'), 'aria-label': words('download') + ': ' + name }),
          kind === 'recordings' && file.state !== 'recording' ? admin.button(words('deleteFile'), name, function () {
            admin.change('DELETE', '/api/recordings/' + dom.urlPath(name), askRecorded);
          }, words('reallyDelete')) : null
        ]);
      })));
    });
    place.hidden = !place.firstChild;
    // Who stood on one stands on what is in its place now.
    now = focusable(place);
    if (focus >= 0 && now.length) now[Math.min(focus, now.length - 1)].focus();
  }

  function playFile(name, url) {
    var place = byId('film'), video = element('video', { controls: '', autoplay: '', playsinline: '', src: url, 'aria-label': name });
    var problem = element('p', { role: 'status' });
    video.addEventListener('error', function () { problem.textContent = words('filmFailed'); });
    place.textContent = '';
    place.hidden = false;
    [element('h2', { text: name }), video, problem, element('button', { type: 'button', 'class': 'quiet-button', text: words('closeFilm'), click: function () {
      video.removeAttribute('src');
      video.load();
      place.textContent = '';
      place.hidden = true;
    } })].forEach(function (part) { place.appendChild(part); });
    place.scrollIntoView();
    video.focus();
  }

  function askRecorded() {
    var request = new XMLHttpRequest();
    clearTimeout(recorded);
    recorded = null;
    request.open('GET', '/api/recordings' + location.search);
    request.onload = function () { if (request.status === 200) showRecorded(JSON.parse(request.responseText)); };
    request.send();
  }

  // Asked for when a stream comes, and again and again while there are pushes.
  function askPushes() {
    var request = new XMLHttpRequest(), from = events;
    clearTimeout(pushing);
    pushing = null;
    request.open('GET', '/api/pushes' + location.search);
    request.onload = function () {
      // A page that has turned away since asks anew when it is back.
      if (events !== from) return;
      pushes = request.status === 200 ? JSON.parse(request.responseText).pushes.filter(function (row) { return row.does === 'push'; }) : [];
      for (var path in cards) cards[path].showSent();
    };
    request.onloadend = function () { if (events === from && pushes.length) pushing = pushing || setTimeout(askPushes, PUSHES_EVERY_MS); };
    request.send();
  }

  // Browsers open six connections to a server: a tab that nobody sees gives its one back.
  document.addEventListener('visibilitychange', function () {
    if (document.hidden) quit();
    else begin();
  });
  document.addEventListener('keydown', function (event) {
    var key = dom.keyName(event);
    if (key === 'Back') history.back();
    if (!/^Arrow/.test(key) || event.ctrlKey || event.altKey || event.metaKey) return;
    if (/^(INPUT|VIDEO)$/.test(document.activeElement.tagName) && /Left|Right/.test(key)) return;
    if (dom.moveFocus(key)) event.preventDefault();
  });
  window.rillPage = { duration: duration, bytes: bytes, seconds: seconds };
  admin.changed = begin;
  showAdd(true);
  begin();
})();
