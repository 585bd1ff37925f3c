// Players that exist, as their own pages begin them: ?player=hls.js&url=/live/cam1.m3u8
(function () {
  'use strict';

  var query = {}, video = document.querySelector('#player video'), player;
  location.search.slice(1).split('&').forEach(function (pair) { query[pair.split('=')[0]] = decodeURIComponent(pair.split('=')[1]); });
  window.otherErrors = [];

  // No worker, which its page's policy would have to allow.
  if (query.player === 'hls.js') {
    player = new Hls({ enableWorker: false });
    player.on(Hls.Events.ERROR, function (_, facts) {
      window.otherErrors.push(facts.details + (facts.fatal ? ' (fatal)' : ''));
      if (facts.fatal && facts.type === Hls.ErrorTypes.NETWORK_ERROR) setTimeout(function () { player.loadSource(query.url); }, 500);
    });
    player.loadSource(query.url);
    player.attachMedia(video);
    player.on(Hls.Events.MANIFEST_PARSED, function () { video.play(); });
  } else {
    player = (query.player === 'flv.js' ? flvjs : mpegts).createPlayer({ type: 'flv', isLive: true, url: query.url }, { enableWorker: false, enableStashBuffer: false });
    player.on('error', function (kind, details) { window.otherErrors.push(kind + ' ' + details); });
    player.attachMediaElement(video);
    player.load();
    video.play();
  }
})();
