// Node-Media-Server on a port of this machine, with tasks of its own: streams that it fetches or sends as soon as they are there.
//
//   node run.js PORT DIRECTORY [TASK ...]        TASK: {"url": ..., "streamPath": "/live/NAME", "mode": "pull" or "push"}
'use strict';

const [port, directory, ...tasks] = process.argv.slice(2);
process.chdir(directory);
const NodeMediaServer = require('node-media-server');
const server = new NodeMediaServer({
  bind: '127.0.0.1', rtmp: { port: Number(port) }, store: { path: directory }, auth: { play: false, publish: false },
  record: { auto: false, path: directory }, notify: { url: '' }, webadmin: { enable: false }
}, null);
server.run().then(function () {
  tasks.map(JSON.parse).forEach(function (task) {
    const begin = function () { server.relayServer.addTask(Object.assign({ reconnectInterval: 200 }, task)); };
    if (task.mode === 'pull') begin();
    else server.on('postPublish', function (session) { if (session.streamPath === task.streamPath) begin(); });
  });
  console.log('ready');
});
