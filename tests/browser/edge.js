// The player's rules of the live edge, without a browser: the player as it is sent, on a clock that this moves.
'use strict';

const assert = require('assert');
const fs = require('fs');
const vm = require('vm');

let time = 10000;

function node() {
  const made = { style: {}, className: '', textContent: '', };
  ['addEventListener', 'setAttribute', 'replaceChild'].forEach((name) => { made[name] = () => {}; });
  made.appendChild = (child) => child;
  made.getAttribute = () => null;
  return made;
}

function video() {
  const made = node();
  let at = 100;
  Object.assign(made, { seeks: [], playbackRate: 1, paused: false, seeking: false, readyState: 4, end: 100, plays: 0 });
  Object.defineProperty(made, 'currentTime', { get: () => at, set: (to) => { at = to; made.seeks.push(time); } });
  made.buffered = { length: 1, start: () => 0, end: () => made.end };
  made.passes = (seconds) => { if (!made.paused) at = Math.min(at + seconds * made.playbackRate, made.end); };
  made.pause = () => { made.paused = true; };
  made.play = () => { made.paused = false; made.plays += 1; return { then() {}, catch() {} }; };
  return made;
}

function player() {
  const window = {
    rillWords: () => '',
    rillDom: { element: (name) => (name === 'video' ? video() : node()), icon: node, urlPath: (path) => path },
    MediaSource: { isTypeSupported: () => true },
    performance: { now: () => time },
    addEventListener() {},
  };
  const document = { title: '', hidden: false, documentElement: node(), getElementById: node, addEventListener() {}, createElement: node };
  function WebSocket() { this.close = () => {}; this.send = () => {}; }
  const around = {
    window, document, WebSocket, performance: window.performance, location: { pathname: '/watch/live/cam', search: '', protocol: 'http:', host: 'localhost' },
    setInterval: () => 0, setTimeout: () => 0, clearTimeout() {}, clearInterval() {}, navigator: { userAgent: '' },
  };
  window.WebSocket = WebSocket;
  vm.runInNewContext(fs.readFileSync(process.argv[2], 'utf8'), around);
  const made = window.rillPlayer;
  made.state = 'live';
  made.buffer = { updating: false, remove() {} };
  made.joined = true;
  made.jumped = made.calm = time - 60000;
  return made;
}

// Lets time pass: of the camera and of the video.
function run(made, seconds, camera) {
  for (let ticks = seconds * 20; ticks > 0; ticks--) {
    time += 50;
    made.video.end += camera;
    made.video.passes(0.05);
    made.heard = made.fed = time;
    made.tick();
  }
}

const laws = {
  'a viewer far behind is not sought forward more than once in 1.5 s'() {
    const made = player();
    // More comes than is ever played.
    run(made, 30, 5);
    const seeks = made.video.seeks;
    assert(seeks.length > 10, `${seeks.length} seeks`);
    seeks.slice(1).forEach((at, n) => assert(at - seeks[n] >= 1500, `${at - seeks[n]} ms apart`));
  },
  'each stall is 0.2 s more, at most 1.5 s, and a calm minute 0.2 s less'() {
    const made = player();
    const targets = [];
    for (let stalls = 0; stalls < 9; stalls++) {
      time += 3000;
      made.video.end = made.video.currentTime + 0.01;
      made.stalled();
      targets.push(Math.round(made.target * 10) / 10);
      // It stands until there is as much as the target.
      assert(made.video.paused);
      made.video.end = made.video.currentTime + made.target + 0.01;
      made.heard = made.fed = time;
      made.tick();
      assert(!made.video.paused);
    }
    assert.deepStrictEqual(targets, [0.5, 0.7, 0.9, 1.1, 1.3, 1.5, 1.5, 1.5, 1.5]);
    run(made, 61, 0.05);
    assert.strictEqual(Math.round(made.target * 10) / 10, 1.3);
    run(made, 600, 0.05);
    assert.strictEqual(made.target, 0.3);
    assert.strictEqual(made.video.seeks.length, 0, 'what is little is caught up with by the rate');
  },
  'what is little late is played faster, what is little early slower, and the target as it is'() {
    for (const [behind, rate, target] of [[0.5, 0.95, 0.7], [0.3, 1], [0.44, 1], [0.5, 1.08], [0.8, 1.2], [2.2, 1.2], [0.2, 0.6], [0.05, 0.25]]) {
      const made = player();
      made.target = target || made.target;
      made.video.end = made.video.currentTime + behind;
      made.heard = made.fed = time;
      made.tick();
      assert.strictEqual(made.video.playbackRate, rate, `${behind} s behind`);
      assert.strictEqual(made.video.seeks.length, 0, `${behind} s behind`);
    }
  },
  'who paused or went back stays there'() {
    for (const way of [{ wantsPause: true }, { mode: 'shifted' }]) {
      const made = player();
      Object.assign(made, way);
      made.video.paused = Boolean(way.wantsPause);
      run(made, 10, 0.05);
      made.stalled();
      assert.deepStrictEqual([made.video.seeks.length, made.video.playbackRate, made.target], [0, 1, 0.3]);
    }
  },
};

for (const [name, law] of Object.entries(laws)) {
  try { law(); } catch (error) { console.error(`${name}:`); throw error; }
}
