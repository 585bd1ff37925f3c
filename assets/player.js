// The live player: fragmented MP4 over a WebSocket into ManagedMediaSource or MediaSource, else HLS, else a sentence. It is
// written for Chromium 47 and later (ES5): that is what TVs have.
(function () {
  'use strict';

  var words = window.rillWords, dom = window.rillDom, element = dom.element;

  // Times in seconds but for those that end in _MS.
  var TARGET = 0.3; // behind the live edge, at first
  var TARGET_MOST = 1.5;
  var TARGET_STEP = 0.2; // more of it for each stall
  var SLACK = 0.15; // later than this behind the target: play faster until it is NEAR; as much before it: slower
  var NEAR = 0.05;
  var FASTER = 1.08;
  var FASTEST = 1.2; // LATE behind the target, and not yet so late that it jumps
  var LATE = 0.4;
  var SLOWER = 0.95;
  var LOW = 0.25; // less than this at hand: slower yet, so that a camera's pause of twice the time is no stall
  var SLOWEST = 0.25;
  var PAUSE_PART = 0.7; // of the longest pause of the camera that the target covers; to play slower does the rest
  var RESERVE = 0.15; // and what the browser wants decoded before it shows it
  var JUMP = 2; // further behind: jump
  var JUMP_EVERY_MS = 1500; // a seek at each append starves WebKit
  var SETTLE_MS = 2000; // behind a beginning or a jump: what that takes is no pause of the camera, and is caught up with soon
  var BURST_MS = 400; // what there was before is waited for so long: a long group of pictures is decoded once
  var KEEP = 30; // of what was played, for "back 10 seconds"
  var BACK = 10;
  var PAUSED_MOST = 30; // of what comes while the viewer paused: then the connection is given up until he goes on
  var CALM_MS = 60000; // without a stall: the target shrinks by a step
  var TICK_MS = 50;
  var STUCK_MS = 8000; // media comes and nothing moves: the browser does not say so of everything it cannot use
  var HLS_STUCK_MS = 30000; // it may wait for three segments
  var SILENCE_MS = 6000; // the server says the time each second: a connection that does not is dead
  var RETRY_MS = 300;
  var RETRY_MOST_MS = 5000;
  var HIDE_MS = 3000;
  var WAITS_MS = 700; // the server keeps who asks for what is not live yet
  var FAILURES_MOST = 3; // then it is tried without sound

  var MediaSource = window.ManagedMediaSource || window.MediaSource || window.WebKitMediaSource;
  // Bytes in one append: WebKitGTK stands still for good when it is given a group of pictures of several seconds at once.
  var APPEND_MOST = window.ManagedMediaSource ? 50000 : Infinity;
  var HLS = 'application/vnd.apple.mpegurl';

  function now() { return window.performance ? performance.now() : Date.now(); }

  function mime(codecs) {
    var sound = /^(mp4a|opus|fLaC|flac|ac-3|ec-3)/i;
    var video = codecs.some(function (codec) { return !sound.test(codec); });
    return (video ? 'video' : 'audio') + '/mp4; codecs="' + codecs.join(',') + '"';
  }

  function isSound(codec) { return mime([codec]).charAt(0) === 'a'; }

  // Codecs of one family follow each other in one source buffer; another family needs another.
  function families(codecs) {
    return codecs.map(function (codec) { return codec.split('.')[0]; }).join();
  }

  function codecName(codec) {
    var names = { avc1: 'H.264', hvc1: 'HEVC', hev1: 'HEVC', av01: 'AV1', vp09: 'VP9', vp08: 'VP8', mp4a: 'AAC', opus: 'Opus', flac: 'FLAC', fLaC: 'FLAC', 'ac-3': 'AC-3', 'ec-3': 'E-AC-3' };
    return names[codec.split('.')[0]] || codec;
  }

  // What is around a video: where it says something, and who hears of changes. `options`: path (of the stream), query (what
  // the page was opened with, as an object), muted.
  function Player(root, options) {
    this.options = options;
    this.root = root;
    this.video = element('video', { playsinline: '', 'webkit-playsinline': '', autoplay: '', 'aria-label': words('player', options.path) });
    this.video.muted = this.muted = options.muted;
    this.still = element('canvas', { 'class': 'still', 'aria-hidden': 'true' });
    this.without = { video: options.query.video === '0', audio: options.query.audio === '0' };
    this.state = 'connecting'; // connecting, waiting, live, lost, full, ended
    this.mode = 'live'; // live: held at the edge. shifted: where the viewer went
    this.note = ''; // what stays said beside the state
    this.wantsPause = false;
    this.target = TARGET;
    this.retryMs = RETRY_MS;
    this.failures = 0; // of the browser, without a picture between them
    this.codecs = [];
    this.queue = [];
    this.stats = { connections: 0, stalls: 0, firstPictureMs: null, mediaSources: 0, viewers: null, way: '', failure: '' };
    this.changed = function () {};
    root.appendChild(this.video);
    root.appendChild(this.still);
    this.listen();
  }

  Player.prototype.start = function () {
    var self = this;
    this.begun = now();
    this.ticks = setInterval(function () { self.tick(); }, TICK_MS);
    this.connect();
  };

  Player.prototype.listen = function () {
    var self = this, video = this.video;
    video.addEventListener('waiting', function () { self.stalled(); });
    video.addEventListener('playing', function () {
      self.still.className = 'still';
      // Not before: what comes may be what this browser gives up.
      self.retryMs = RETRY_MS;
      self.failures = 0;
      if (self.stats.firstPictureMs === null) self.stats.firstPictureMs = Math.round(now() - self.begun);
      self.changed();
    });
    video.addEventListener('error', function () {
      // What there was before may say so late.
      if (!video.error) return;
      if (self.source) self.failed(video.error.message || 'decoding');
      else if (self.stats.way === 'HLS') self.hlsFailed();
    });
    // The playlist ended: the publisher came back with another, or will.
    video.addEventListener('ended', function () { if (self.stats.way === 'HLS') self.hlsFailed(); });
    ['pause', 'play', 'volumechange', 'loadedmetadata'].forEach(function (name) {
      video.addEventListener(name, function () { self.changed(); });
    });
    document.addEventListener('visibilitychange', function () {
      if (document.hidden) return;
      // Phones close what sleeps without a word.
      if (self.socket && now() - self.heard > SILENCE_MS) self.socket.close();
      if (!self.wantsPause) self.play();
      self.tick();
    });
    // Browsers keep a page that was left, for who goes back to it: it watches nothing meanwhile.
    window.addEventListener('pagehide', function () { self.disconnect(); });
    window.addEventListener('pageshow', function (event) {
      if (!event.persisted || self.state === 'ended') return;
      self.refresh = true;
      self.again();
    });
  };

  // The URL of the stream's form, with what the page was asked for, keys included.
  Player.prototype.url = function (ending, more) {
    var query = [], key;
    for (key in this.options.query) {
      if (key !== 'video' && key !== 'audio' && key !== 'muted') query.push(encodeURIComponent(key) + '=' + encodeURIComponent(this.options.query[key]));
    }
    if (this.without.video) query.push('video=0');
    if (this.without.audio) query.push('audio=0');
    query = query.concat(more || []);
    return '/' + dom.urlPath(this.options.path) + ending + (query.length ? '?' + query.join('&') : '');
  };

  Player.prototype.say = function (state) {
    this.state = state;
    this.changed();
  };

  // from: begin at that time of the stream, as far as the server has it, and stay as far behind.
  Player.prototype.connect = function (from) {
    var self = this, socket, back = from === undefined ? [] : ['back_ms=' + Math.max(0, Math.round((this.present() - from) * 1000))];
    clearTimeout(this.retry);
    this.disconnect();
    if (!MediaSource || !window.WebSocket) { this.playHls(); return; }
    this.stats.way = window.ManagedMediaSource ? 'WebSocket, ManagedMediaSource' : 'WebSocket, MediaSource';
    this.stats.connections++;
    this.from = from;
    this.mode = back.length ? 'shifted' : 'live';
    socket = this.socket = new WebSocket((location.protocol === 'https:' ? 'wss://' : 'ws://') + location.host +
      this.url('.mp4', back));
    socket.binaryType = 'arraybuffer';
    this.heard = now();
    this.opened = false;
    socket.onopen = function () { self.opened = true; };
    setTimeout(function () { if (self.socket === socket && !self.opened) self.askWhy(); }, WAITS_MS);
    socket.onmessage = function (message) {
      if (self.socket !== socket) return;
      self.heard = now();
      if (typeof message.data === 'string') self.told(JSON.parse(message.data));
      else if (self.source) { self.queue.push(message.data); self.fed = now(); self.pump(); }
    };
    socket.onclose = function (event) { if (self.socket === socket) self.closed(event.code); };
  };

  Player.prototype.disconnect = function () {
    var socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  };

  Player.prototype.closed = function (code) {
    var self = this;
    this.socket = null;
    this.refresh = true;
    if (this.state === 'ended') return;
    if (code === 4401 || code === 4403 || code === 4404) { this.end(words(code === 4404 ? 'missing' : 'refused')); return; }
    // 4000 and a status of HTTP: it was refused, and may not be later.
    if (code > 4400) this.retryMs = RETRY_MOST_MS;
    if (this.state !== 'waiting' || this.opened) this.say(code === 4429 || code === 4503 ? 'full' : 'lost');
    if (!this.opened) this.askWhy();
    this.retry = setTimeout(function () { self.connect(); }, this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MOST_MS);
  };

  // A socket that does not open says nothing of why: there is no server, or nobody publishes.
  Player.prototype.askWhy = function () {
    var self = this, request = new XMLHttpRequest();
    request.open('GET', '/healthz');
    request.onload = function () { if (!self.opened && self.state !== 'ended') self.say(request.status === 200 ? 'waiting' : 'lost'); };
    request.onerror = function () { if (!self.opened && self.state !== 'ended') self.say('lost'); };
    request.send();
  };

  // For good, with a sentence; a button begins again.
  Player.prototype.end = function (sentence) {
    this.note = sentence;
    this.say('ended');
    this.disconnect();
    this.dispose();
  };

  Player.prototype.again = function () {
    this.note = '';
    this.retryMs = RETRY_MS;
    this.say('connecting');
    this.connect();
  };

  // A text frame.
  Player.prototype.told = function (frame) {
    if (frame.type === 'init') this.prepare(frame);
    else if (frame.type === 'waiting') this.say(this.codecs.length ? 'away' : 'waiting');
    else if (frame.type === 'now') {
      this.clock = { streamMs: frame.stream_ms, at: now() };
      this.stats.viewers = frame.viewers;
    } else if (frame.type === 'error') this.closed(frame.code || 4000 + frame.status);
  };

  // What comes has these codecs: goes on in the source that there is, or makes one, or tries without the track that this
  // browser does not play.
  Player.prototype.prepare = function (frame) {
    var codecs = frame.codecs ? frame.codecs.split(',') : [], refused;
    if (!codecs.length) { this.say('waiting'); return; }
    refused = codecs.filter(function (codec) { return !MediaSource.isTypeSupported(mime([codec])); });
    if (refused.length) { this.leaveOut(refused, codecs); return; }
    if (frame.left_out) this.note = words('leftOut', frame.left_out);
    if (!this.source || this.refresh || families(codecs) !== families(this.codecs)) this.open(codecs);
    this.codecs = codecs;
    this.say('live');
  };

  Player.prototype.leaveOut = function (refused, codecs) {
    var sound = isSound(refused[0]), name = codecName(refused[0]);
    if (refused.length === codecs.length) {
      if (this.video.canPlayType(HLS) && !this.triedHls) { this.disconnect(); this.playHls(); } else this.end(words('noCodec', refused.map(codecName).join(', ')));
      return;
    }
    this.without[sound ? 'audio' : 'video'] = true;
    this.note = words(sound ? 'noAudio' : 'noVideo', name);
    this.connect();
  };

  // A new MediaSource. The last picture stays until there is another.
  Player.prototype.open = function (codecs) {
    var self = this, video = this.video, source;
    this.keepStill();
    this.dispose();
    this.refresh = false;
    this.queue = [];
    this.stats.mediaSources++;
    source = this.source = new MediaSource();
    source.addEventListener('sourceopen', function () {
      if (self.source !== source || self.buffer) return;
      URL.revokeObjectURL(self.objectUrl);
      try {
        self.buffer = source.addSourceBuffer(mime(codecs));
      } catch (error) {
        self.failed(String(error));
        return;
      }
      self.buffer.addEventListener('updateend', function () { self.pump(); self.tick(); });
      self.pump();
    });
    // Without AirPlay, or iPhones never open the source.
    video.disableRemotePlayback = true;
    this.objectUrl = URL.createObjectURL(source);
    video.src = this.objectUrl;
    this.joined = this.filling = false;
    this.prepared = now();
    this.end = undefined;
    if (!this.wantsPause) this.play();
  };

  Player.prototype.dispose = function () {
    this.source = this.buffer = null;
    this.queue = [];
    if (this.video.getAttribute('src')) {
      this.video.removeAttribute('src');
      this.video.load();
    }
  };

  Player.prototype.keepStill = function () {
    var video = this.video;
    if (!video.videoWidth || video.readyState < 2) return;
    this.still.width = video.videoWidth;
    this.still.height = video.videoHeight;
    this.still.getContext('2d').drawImage(video, 0, 0);
    this.still.className = 'still shown';
  };

  // The browser gave the stream up: from the beginning, by another connection.
  Player.prototype.failed = function (why) {
    var socket = this.socket;
    this.stats.failure = why;
    this.keepStill();
    this.dispose();
    if (!socket) return;
    this.disconnect();
    this.failures++;
    // Some say that they play a codec, and do not.
    if (this.failures === FAILURES_MOST && this.codecs.length > 1) this.leaveOut(this.codecs.filter(isSound), this.codecs);
    else this.closed(0);
  };

  // Gives the browser what came, one append at a time.
  Player.prototype.pump = function () {
    var buffer = this.buffer, queue = this.queue, bytes, length = 0, at;
    if (!buffer || buffer.updating || !queue.length || this.source.readyState !== 'open') return;
    for (at = 0; at < queue.length && (at === 0 || length < APPEND_MOST); at++) length += queue[at].byteLength;
    queue = queue.slice(0, at);
    bytes = new Uint8Array(length);
    for (at = length = 0; at < queue.length; at++) { bytes.set(new Uint8Array(queue[at]), length); length += queue[at].byteLength; }
    try {
      buffer.appendBuffer(bytes);
      this.queue = this.queue.slice(queue.length);
    } catch (error) {
      this.queue.splice(0, queue.length, bytes.buffer);
      // No room: less of the past, once; what does not help then is a new beginning.
      if (error.name === 'QuotaExceededError' && this.forget(5)) return;
      this.failed(String(error));
    }
  };

  // Takes out what was played longer ago. Whether there was any.
  Player.prototype.forget = function (keep) {
    var ranges = this.video.buffered, until = this.video.currentTime - keep;
    if (!this.buffer || this.buffer.updating || !ranges.length || ranges.start(0) >= until - 1) return false;
    this.buffer.remove(0, until);
    return true;
  };

  Player.prototype.play = function () {
    var self = this, video = this.video, promise = video.play();
    this.wantsPause = false;
    if (!promise || !promise['catch']) return;
    promise['catch'](function (error) {
      if (error.name !== 'NotAllowedError') return;
      // No sound without a tap; on some no picture either.
      if (!video.muted) { video.muted = true; self.play(); } else { self.needsTap = true; self.changed(); }
    });
    promise.then(function () { self.needsTap = false; self.changed(); }, function () {});
  };

  Player.prototype.pause = function () {
    this.wantsPause = true;
    this.video.pause();
  };

  Player.prototype.toggle = function () {
    this.filling = false;
    if (!this.video.paused) { this.pause(); return; }
    // Who paused goes on where he was.
    if (this.wantsPause && this.behind() > JUMP) this.mode = 'shifted';
    this.play();
    if (this.socket || this.stats.way === 'HLS') return;
    if (this.state === 'live') this.goTo(this.video.currentTime); else this.again();
  };

  Player.prototype.unmute = function () {
    this.video.muted = this.muted = false;
    if (this.video.volume === 0) this.video.volume = 1;
    this.needsTap = false;
    this.play();
  };

  Player.prototype.toggleMute = function () {
    if (this.video.muted) this.unmute(); else this.video.muted = this.muted = true;
  };

  // Seconds from here to the newest that the browser has.
  Player.prototype.behind = function () {
    var ranges = this.stats.way === 'HLS' ? this.video.seekable : this.video.buffered;
    return ranges.length ? ranges.end(ranges.length - 1) - this.video.currentTime : 0;
  };

  // The newest time of the stream that the server has, in seconds, as far as is known.
  Player.prototype.present = function () {
    return this.clock ? (this.clock.streamMs + now() - this.clock.at) / 1000 : this.video.currentTime + this.behind();
  };

  // Seconds from the newest that the server has to what is shown; null while it is not known.
  Player.prototype.latency = function () {
    return this.clock && this.joined ? this.present() - this.video.currentTime : null;
  };

  // More of the past than this page has: the server may have it.
  Player.prototype.goTo = function (from) {
    this.refresh = true;
    this.connect(from);
  };

  Player.prototype.back = function () {
    var video = this.video, hls = this.stats.way === 'HLS', ranges = hls ? video.seekable : video.buffered, first, to;
    if (!hls && this.from !== undefined && (this.refresh || !this.joined)) { this.goTo(this.from - BACK); return; }
    if (!ranges.length) return;
    first = ranges.start(0);
    to = video.currentTime - BACK;
    this.mode = 'shifted';
    video.playbackRate = 1;
    // It was asked for before, and this was the oldest there was.
    if (to >= first || hls || this.from < first - JUMP) video.currentTime = Math.max(to, first);
    else this.goTo(to);
    this.play();
    this.changed();
  };

  Player.prototype.goLive = function () {
    this.mode = 'live';
    // What comes by this connection comes late on purpose.
    if (this.from !== undefined) this.goTo();
    else if (this.behind() > this.target) this.video.currentTime += this.behind() - this.target;
    this.jumped = now();
    this.play();
    this.changed();
  };

  Player.prototype.stalled = function () {
    // HLS fills itself.
    if (!this.buffer || !this.joined || this.video.seeking || this.state !== 'live' || this.wantsPause || this.mode !== 'live') return;
    // The end of what was there before a jump is none, and some say it twice.
    if (this.filling || now() - this.jumped < 500) return;
    this.stats.stalls++;
    // It has enough, and cannot keep up: to stop it would only take longer.
    if (this.behind() >= this.target) return;
    this.stayBack();
    // It stands already: until there is as much as the target, or the next pause of the camera would stop it again.
    this.filling = true;
    this.video.pause();
  };

  Player.prototype.stayBack = function () {
    this.calm = now();
    this.target = Math.min(this.target + TARGET_STEP, TARGET_MOST);
  };

  // Holds the live edge; twenty times a second, and after each append.
  Player.prototype.tick = function () {
    var video = this.video, ranges = video.buffered, at = video.currentTime, start, end, behind, n;
    if (this.socket && this.state !== 'connecting' && now() - this.heard > SILENCE_MS) { this.socket.close(); this.closed(0); }
    if (at !== this.lastAt || (video.paused && this.joined) || document.hidden || this.state !== 'live' || now() - this.fed > 1000) {
      this.lastAt = at;
      this.moved = now();
    } else if (now() - this.moved > (this.source ? STUCK_MS : HLS_STUCK_MS)) {
      this.moved = now();
      if (this.source) this.failed('stuck'); else if (this.stats.way === 'HLS') this.hlsFailed();
      return;
    }
    if (!this.buffer || !ranges.length) return;
    end = ranges.end(ranges.length - 1);
    behind = end - at;
    if (!this.joined) {
      // WebKit fails when it is to go somewhere before it knows what it has.
      if (video.readyState < 1) return;
      if (this.from === undefined && this.clock && now() - this.prepared < BURST_MS && this.present() - end > this.target) return;
      this.joined = true;
      this.jumped = this.calm = now();
      start = this.from !== undefined ? Math.max(ranges.start(0), this.from) : Math.max(ranges.start(ranges.length - 1), end - this.target);
      if (at < ranges.start(0) || start > at + SLACK) video.currentTime = start;
      return;
    }
    if (this.wantsPause) {
      if (behind > PAUSED_MOST) { this.disconnect(); this.refresh = true; }
      return;
    }
    if (at < ranges.start(0) || at > end + 1) { this.jumpTo(Math.max(ranges.start(0), end - this.target)); return; }
    // A hole in time: a viewer who was too slow skipped, or the camera did.
    if (ranges.length > 1 && video.readyState < 3) {
      for (n = 0; n < ranges.length && ranges.start(n) <= at; n++);
      if (n < ranges.length) { this.jumpTo(ranges.start(n) + 0.01); return; }
    }
    if (this.filling) {
      if (behind < this.target) return;
      this.filling = false;
      this.play();
    }
    if (this.mode === 'live') { this.watchPauses(end); this.hold(behind, end); }
    this.forget(KEEP + 5);
  };

  // The camera, or what is between, sent nothing for a while: the target is what the next such pause needs.
  Player.prototype.watchPauses = function (end) {
    var pause = (now() - this.grown) / 1000, needed = PAUSE_PART * pause + RESERVE;
    if (end === this.end) return;
    // Longer ones are no pauses, and a page that nobody sees is called late.
    if (this.end !== undefined && pause < TARGET_MOST && !document.hidden && now() - this.jumped > SETTLE_MS && needed > this.target - TARGET_STEP && needed > TARGET) {
      this.calm = now();
      this.target = Math.min(Math.max(this.target, needed), TARGET_MOST);
    }
    this.end = end;
    this.grown = now();
  };

  Player.prototype.hold = function (behind, end) {
    var rate = 1, isLate = behind > this.target + (this.video.playbackRate > 1 ? NEAR : SLACK);
    if (behind > this.target + JUMP) this.jumpTo(end - this.target);
    else if (isLate) rate = behind > this.target + LATE || now() - this.jumped < SETTLE_MS ? FASTEST : FASTER;
    else if (behind < LOW) {
      rate = Math.max(SLOWEST, Math.round(behind * behind / (LOW * LOW) * 10) / 10);
      if (behind < LOW / 2 && now() - this.calm > 1000) this.stayBack();
    } else if (behind < this.target - SLACK) rate = SLOWER;
    if (this.video.playbackRate !== rate) this.video.playbackRate = rate;
    if (now() - this.calm > CALM_MS && this.target > TARGET) { this.target = Math.max(TARGET, this.target - TARGET_STEP); this.calm = now(); }
  };

  Player.prototype.jumpTo = function (to) {
    if (now() - this.jumped < JUMP_EVERY_MS) return;
    this.jumped = now();
    this.video.currentTime = to;
  };

  Player.prototype.playHls = function () {
    this.triedHls = true;
    if (!this.video.canPlayType(HLS)) { this.end(words('noPlayer', 'rtmp://' + location.hostname + '/' + this.options.path)); return; }
    this.dispose();
    this.stats.way = 'HLS';
    this.stats.connections++;
    this.video.src = this.url('.m3u8');
    this.joined = true;
    this.say('live');
    this.play();
  };

  Player.prototype.hlsFailed = function () {
    var self = this;
    clearTimeout(this.retry);
    this.say('lost');
    this.retry = setTimeout(function () { self.connect(); }, this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MOST_MS);
  };

  Player.prototype.sentence = function () {
    var state = this.state;
    if (state === 'ended') return this.note;
    if (state === 'connecting' || state === 'lost' || state === 'full' || state === 'away') return words(state);
    if (state === 'waiting') return words('waiting', this.options.path);
    return this.note;
  };

  // The buttons over the picture, and the keys.
  function Controls(root, player) {
    var self = this;
    this.root = root;
    this.player = player;
    this.message = element('p', { 'class': 'message', role: 'status', 'aria-live': 'polite' });
    this.retry = this.button('again', null, function () { player.again(); }, 'pill');
    this.retry.textContent = words('again');
    this.sound = this.button('tapForSound', 'muted', function () { player.unmute(); }, 'pill sound');
    this.soundText = this.sound.appendChild(element('span', { text: words('tapForSound') }));
    this.playing = this.button('pause', 'pause', function () { player.toggle(); });
    this.back = this.button('back10', 'back10', function () { player.back(); });
    this.live = this.button('goLive', null, function () { player.goLive(); }, 'live');
    this.live.textContent = words('live');
    this.mute = this.button('mute', 'sound', function () { player.toggleMute(); });
    this.info = this.button('info', 'info', function () { self.toggleFigures(); });
    this.pip = this.button('pip', 'pip', function () { self.pictureInPicture(); });
    this.full = this.button('fullScreen', 'full', function () { self.fullScreen(); });
    this.figures = element('pre', { 'class': 'figures', 'aria-live': 'off' });
    this.bar = element('div', { 'class': 'bar', role: 'group' }, [this.playing, this.back, this.live, element('span', { 'class': 'room' }), this.mute, this.info, this.pip, this.full]);
    [element('div', { 'class': 'middle' }, [this.message, this.retry, this.sound]), this.figures, this.bar].forEach(function (part) { root.appendChild(part); });
    this.pip.hidden = !(document.pictureInPictureEnabled && player.video.requestPictureInPicture) && !player.video.webkitSetPresentationMode;
    player.changed = function () { self.show(); };
    ['mousemove', 'touchstart', 'keydown', 'focusin'].forEach(function (name) {
      root.addEventListener(name, function () { self.wake(); });
    });
    player.video.addEventListener('click', function () { if (player.needsTap || player.video.muted) player.unmute(); });
    document.addEventListener('keydown', function (event) { self.key(event); });
    ['fullscreenchange', 'webkitfullscreenchange'].forEach(function (name) {
      document.addEventListener(name, function () { self.show(); });
    });
    setInterval(function () { self.showFigures(); }, 250);
    this.wake();
    this.show();
  }

  Controls.prototype.button = function (word, icon, click, kind) {
    return element('button', { type: 'button', 'class': kind || 'icon', 'aria-label': words(word), title: words(word), click: click }, [icon && dom.icon(icon)]);
  };

  Controls.prototype.face = function (button, word, icon) {
    if (button.getAttribute('title') === words(word)) return;
    button.setAttribute('title', words(word));
    button.setAttribute('aria-label', words(word));
    button.replaceChild(dom.icon(icon), button.firstChild);
  };

  Controls.prototype.wake = function () {
    var root = this.root;
    root.className = root.className.replace(' quiet', '');
    clearTimeout(this.quiet);
    this.quiet = setTimeout(function () {
      if (root.className.indexOf(' quiet') < 0) root.className += ' quiet';
    }, HIDE_MS);
  };

  Controls.prototype.show = function () {
    var player = this.player, video = player.video, sentence = player.sentence(), stands = video.paused && !player.filling;
    if (this.message.textContent !== sentence) this.message.textContent = sentence;
    this.message.hidden = !sentence;
    this.message.className = player.state === 'live' ? 'message note' : 'message';
    this.retry.hidden = player.state !== 'ended';
    this.hasSound = player.stats.way === 'HLS' || player.codecs.some(isSound);
    this.sound.hidden = !player.needsTap && !(player.state === 'live' && video.muted && !player.options.quiet && this.hasSound && !this.heard);
    this.soundText.textContent = words(player.needsTap ? 'tapToPlay' : 'tapForSound');
    if (!video.muted) this.heard = true;
    this.mute.hidden = !this.hasSound;
    this.face(this.playing, stands ? 'play' : 'pause', stands ? 'play' : 'pause');
    this.face(this.mute, video.muted ? 'unmute' : 'mute', video.muted ? 'muted' : 'sound');
    this.face(this.full, document.fullscreenElement || document.webkitFullscreenElement ? 'leaveFullScreen' : 'fullScreen', 'full');
    this.live.className = player.mode === 'live' && !stands && player.state === 'live' ? 'live now' : 'live';
  };

  Controls.prototype.toggleFigures = function () {
    this.figures.className = this.figures.className === 'figures' ? 'figures shown' : 'figures';
    this.showFigures();
  };

  Controls.prototype.showFigures = function () {
    var player = this.player, video = player.video, latency, quality, lines;
    if (this.figures.className === 'figures') return;
    latency = player.latency();
    quality = video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality().droppedVideoFrames : video.webkitDroppedFrameCount;
    lines = [
      [words('latency'), latency === null ? '–' : Math.round(latency * 1000) + ' ms'],
      [words('buffer'), Math.round(player.behind() * 1000) + ' ms (' + Math.round(player.target * 1000) + ')'],
      [words('rate'), video.playbackRate.toFixed(2) + ' ×'], [words('size'), video.videoWidth + '×' + video.videoHeight],
      [words('codecs'), player.codecs.join(' ')], [words('stalls'), player.stats.stalls], [words('dropped'), quality === undefined ? '–' : quality],
      [words('joined'), (player.stats.firstPictureMs || 0) + ' ms'], [words('connections'), player.stats.connections],
      [words('viewers'), player.stats.viewers === null ? '–' : player.stats.viewers], [words('way'), player.stats.way + (player.stats.failure && ' (' + player.stats.failure + ')')]
    ];
    this.figures.textContent = lines.map(function (line) { return line.join(': '); }).join('\n');
  };

  Controls.prototype.fullScreen = function () {
    var root = this.root, video = this.player.video;
    if (document.fullscreenElement || document.webkitFullscreenElement) (document.exitFullscreen || document.webkitExitFullscreen).call(document);
    else if (root.requestFullscreen || root.webkitRequestFullscreen) (root.requestFullscreen || root.webkitRequestFullscreen).call(root);
    else if (video.webkitEnterFullscreen) video.webkitEnterFullscreen();
  };

  Controls.prototype.pictureInPicture = function () {
    var video = this.player.video;
    if (document.pictureInPictureElement) document.exitPictureInPicture();
    else if (video.requestPictureInPicture) video.requestPictureInPicture()['catch'](function () {});
    else video.webkitSetPresentationMode(video.webkitPresentationMode === 'inline' ? 'picture-in-picture' : 'inline');
  };

  Controls.prototype.key = function (event) {
    var key = dom.keyName(event), player = this.player, focused = document.activeElement;
    var onButton = focused && /^(A|BUTTON)$/.test(focused.tagName);
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    this.wake();
    if (/^Arrow/.test(key)) { if (onButton ? dom.moveFocus(key) : (this.playing.focus(), true)) event.preventDefault(); return; }
    // The button that has the focus has these for itself.
    if ((key === 'Enter' || key === ' ') && onButton) return;
    if (key === 'Enter') this.playing.focus();
    else if (key === ' ' || key === 'k' || key === 'PlayPause') player.toggle();
    else if (key === 'Play') player.play();
    else if (key === 'Pause' || key === 'Stop') player.pause();
    else if (key === 'm') player.toggleMute();
    else if (key === 'f') this.fullScreen();
    else if (key === 'p') this.pictureInPicture();
    else if (key === 'j') player.back();
    else if (key === 'l') player.goLive();
    else if (key === 'i') this.toggleFigures();
    else if (key === 'Back') history.back();
    else return;
    event.preventDefault();
  };

  function queryOf(search) {
    var query = {};
    search.replace(/^\?/, '').split('&').forEach(function (pair) {
      var cut = pair.split('=');
      try { if (pair) query[decodeURIComponent(cut[0])] = decodeURIComponent((cut[1] || '').replace(/\+/g, ' ')); } catch (error) { /* not ours */ }
    });
    return query;
  }

  function begin() {
    var found = /^\/(watch|embed)\/(.+)$/.exec(location.pathname), root = document.getElementById('player'), query, player;
    if (!found || !root) return;
    query = queryOf(location.search);
    player = new Player(root, { path: decodeURIComponent(found[2]), query: query, muted: query.muted !== '0', quiet: query.muted === '1' });
    if (found[1] === 'embed') document.documentElement.className += ' embed';
    document.title = player.options.path;
    document.getElementById('name').textContent = player.options.path;
    document.getElementById('back').setAttribute('aria-label', words('back'));
    document.getElementById('back').appendChild(dom.icon('left'));
    player.controls = new Controls(root, player);
    window.rillPlayer = player;
    player.start();
  }

  begin();
})();
