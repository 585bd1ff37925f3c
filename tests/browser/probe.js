// Stands in the page under test, beside what the server sends: reads the clock that is burnt into the picture, watches the
// video, and tells the stage what it saw.
(function () {
  'use strict';

  var video = null, canvas = document.createElement('canvas'), begun = Date.now(), last = 0, seen = { late: 0, latencies: [], frames: 0, waiting: 0, ranges: 0, sizes: [], states: [], errors: [] };

  window.addEventListener('error', function (event) { seen.errors.push(String(event.message)); });
  document.addEventListener('securitypolicyviolation', function (event) { seen.errors.push('policy: ' + event.violatedDirective + ' ' + event.blockedURI); });

  // Two rows of 16 blocks, white for one: milliseconds since 1970, the low 32 bits.
  function clock() {
    var context = canvas.getContext('2d', { willReadFrequently: true }), value = 0, row, at, pixel, width = video.videoWidth;
    if (!width) return null;
    canvas.width = 64;
    canvas.height = 4;
    context.drawImage(video, 0, 0, width, 64 * video.videoHeight / 360, 0, 0, 64, 4);
    pixel = context.getImageData(0, 0, 64, 4).data;
    for (row = 0; row < 2; row++) for (at = 0; at < 16; at++) value = value * 2 + (pixel[((row * 2 + 1) * 64 + at * 4 + 2) * 4] > 128 ? 1 : 0);
    return value;
  }

  function frame() {
    var late;
    seen.frames++;
    try {
      late = (Date.now() % 4294967296) - clock();
      if (late > -1000 && late < 60000) seen.latencies.push([Date.now() - begun, late]);
    } catch (error) { seen.errors.push(String(error)); }
    video.requestVideoFrameCallback(frame);
  }

  function look() {
    var size = video.videoWidth + 'x' + video.videoHeight, state = window.rillPlayer && window.rillPlayer.state, when = Date.now();
    // How long this browser stood still, once it plays.
    if (last && seen.frames) seen.late = Math.max(seen.late, when - last - 50);
    last = when;
    seen.ranges = Math.max(seen.ranges, video.buffered.length);
    if (seen.sizes[seen.sizes.length - 1] !== size) seen.sizes.push(size);
    if (seen.states[seen.states.length - 1] !== state) seen.states.push(state);
  }

  window.rillReport = function () {
    var player = window.rillPlayer, quality = video && video.getVideoPlaybackQuality && video.getVideoPlaybackQuality(), stats = {}, key;
    if (player) for (key in player.stats) stats[key] = player.stats[key];
    return { agent: navigator.userAgent, took: Date.now() - begun, seen: seen, stats: stats, state: player && player.state, sentence: player && player.sentence(),
      time: video && video.currentTime, paused: video && video.paused, behind: player && player.behind(), latency: player && player.latency(), target: player && player.target,
      total: quality && quality.totalVideoFrames, dropped: quality && quality.droppedVideoFrames, ranges: video && video.buffered.length, rate: video && video.playbackRate,
      muted: video && video.muted, size: video && video.videoWidth + 'x' + video.videoHeight, codecs: player && player.codecs, other: window.otherErrors, language: document.documentElement.lang, local: video && video.disableRemotePlayback, text: document.body.innerText.replace(/\u00a0/g, ' ') };
  };

  window.addEventListener('load', function () {
    video = document.querySelector('#player video');
    if (!video) return;
    video.addEventListener('waiting', function () { seen.waiting++; });
    if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(frame);
    setInterval(look, 50);
  });

  setInterval(function () {
    var request = new XMLHttpRequest();
    request.open('POST', '/__test/report');
    request.send(JSON.stringify(window.rillReport()));
  }, 500);
})();
