// What the page says, in the languages that have a table here: English, and the browser's own.
(function () {
  'use strict';

  var tables = {
    en: {
      title: 'Live', watch: 'Watch', back: 'All streams',
      connecting: 'Connecting…', waiting: 'Waiting for {0}: it is not live yet.',
      lost: 'The connection was lost. Trying again…', away: 'The camera is away. The picture comes back by itself.',
      refused: 'You may not watch this stream.', missing: 'There is no such stream.', full: 'All places are taken. Trying again…',
      again: 'Try again', noPlayer: 'This browser cannot play live video. Open {0} in VLC.',
      noVideo: 'This browser cannot play {0} video: sound only.', noAudio: 'This browser cannot play {0} sound: picture only.',
      noCodec: 'This browser cannot play {0}.', leftOut: '{0} sound cannot be sent to a browser: picture only.',
      play: 'Play', pause: 'Pause', mute: 'Mute', unmute: 'Sound on', tapForSound: 'Tap for sound', tapToPlay: 'Tap to play',
      fullScreen: 'Full screen', leaveFullScreen: 'Leave full screen', pip: 'Picture in picture', back10: 'Back 10 seconds',
      live: 'Live', goLive: 'Go to live', info: 'Figures', player: 'Live player for {0}',
      latency: 'latency', buffer: 'buffer', size: 'picture', codecs: 'codecs', stalls: 'stalls', dropped: 'frames dropped',
      rate: 'speed', viewers: 'viewers', joined: 'first picture', way: 'by', connections: 'connections',
      nothing: 'Nothing is live yet', nothingText: 'Point a camera, OBS or a drone here. The picture appears on this page by itself.',
      addOne: 'Add a stream', server: 'Server', key: 'Stream key', url: 'URL', command: 'Command', copy: 'Copy', copied: 'Copied',
      obs: 'Settings → Stream → Service: Custom…', larix: 'Settings → Connections → New → URL', drone: 'RTMP or “Custom live” in its app',
      droneTitle: 'A drone’s remote', ffmpegText: 'A file, as if it were live', scan: 'Scan to watch on a phone',
      keyHint: 'Any name will do; it is what viewers see.',
      recordings: 'Recordings', films: 'Films', download: 'Download', recording: 'recording',
      since: 'since {0}', viewersOf: '{0} viewers', oneViewer: '1 viewer', lag: 'slowest {0} behind', keyFrame: 'key frame every {0}',
      pushWaits: 'waits for its next attempt', pushConnects: 'connecting', pushRuns: 'sending', pushEnds: 'ending', pushLag: '{0} behind',
      offline: 'The server does not answer. Trying again…', stateAway: 'away', preview: 'Picture of {0}',
      soundOnly: 'sound only', minutes: '{0} min', hours: '{0} h {1} min', seconds: '{0} s', skips: '{0} skips',
      clients: 'Viewers and clients', client: 'Client', stream: 'Stream', does: 'Does', time: 'For', data: 'Data', lagOf: 'Behind', skipsOf: 'Skips', queue: 'Waiting',
      doesPublish: 'publishes', doesPlay: 'watches', doesWait: 'waits', doesNothing: 'nothing', doesLeave: 'leaves', nobody: 'Nobody is there.', andMore: 'And {0} more.',
      limits: 'Limits', thing: 'Of', used: 'Used', most: 'Most so far', limit: 'Limit', share: 'Share', setBy: 'Set by', noLimit: 'none', fixed: 'fixed',
      allConnections: 'Connections', eachAddress: 'Connections of one address', allStreams: 'Streams', allNames: 'Names of streams', eachStream: 'Memory of each stream',
      allHls: 'Viewers by HLS', allApplications: 'Applications', allRecordings: 'Recordings at once', allFilms: 'Players of films', allSecured: 'Connections with TLS', allScripts: 'Instances with a script',
      allMemory: 'Memory', allMessages: 'Messages of scripts', allScriptStreams: 'Streams of scripts', allOperators: 'Operators',
      logIn: 'Log in', logOut: 'Log out', adminKey: 'Admin key', closed: 'Only the administrator sees this server.', wrongKey: 'That is not the admin key.',
      waitKey: 'Too many wrong keys. Try again in {0} s.', ended: 'Your session has ended. Log in again.', change: 'Change', disconnect: 'Disconnect',
      noKey: 'This server is shown to its administrator only, and there is no admin key: rill ctl admin-key makes one.',
      record: 'Record', stopRecording: 'Stop recording', deleteFile: 'Delete', reallyDelete: 'Really delete?',
      reload: 'Read the configuration again', reloaded: 'The configuration is being read. The log says what changed.',
      closeFilm: 'Close', filmFailed: 'This browser cannot play this file. Download it instead.'
    },
    de: {
      title: 'Live', watch: 'Ansehen', back: 'Alle Streams',
      connecting: 'Verbinden…', waiting: 'Warten auf {0}: noch nicht auf Sendung.',
      lost: 'Die Verbindung ist abgerissen. Neuer Versuch…', away: 'Die Kamera ist weg. Das Bild kommt von selbst wieder.',
      refused: 'Diesen Stream dürfen Sie nicht ansehen.', missing: 'Diesen Stream gibt es nicht.',
      full: 'Alle Plätze sind belegt. Neuer Versuch…',
      again: 'Noch einmal', noPlayer: 'Dieser Browser spielt kein Live-Video ab. Öffnen Sie {0} in VLC.',
      noVideo: 'Dieser Browser kann {0}-Video nicht abspielen: nur Ton.', noAudio: 'Dieser Browser kann {0}-Ton nicht abspielen: nur Bild.',
      noCodec: 'Dieser Browser kann {0} nicht abspielen.', leftOut: '{0}-Ton erreicht keinen Browser: nur Bild.',
      play: 'Abspielen', pause: 'Pause', mute: 'Ton aus', unmute: 'Ton an', tapForSound: 'Antippen für Ton', tapToPlay: 'Antippen zum Abspielen',
      fullScreen: 'Vollbild', leaveFullScreen: 'Vollbild verlassen', pip: 'Bild im Bild', back10: '10 Sekunden zurück',
      live: 'Live', goLive: 'Zum Live-Bild', info: 'Messwerte', player: 'Live-Player für {0}',
      latency: 'Verzögerung', buffer: 'Puffer', size: 'Bild', codecs: 'Codecs', stalls: 'Hänger', dropped: 'verlorene Bilder',
      rate: 'Tempo', viewers: 'Zuschauer', joined: 'erstes Bild', way: 'über', connections: 'Verbindungen',
      nothing: 'Noch ist nichts live', nothingText: 'Richten Sie Kamera, OBS oder Drohne hierher. Das Bild erscheint hier von selbst.',
      addOne: 'Stream hinzufügen', server: 'Server', key: 'Streamschlüssel', url: 'URL', command: 'Befehl', copy: 'Kopieren', copied: 'Kopiert',
      obs: 'Einstellungen → Stream → Plattform: Benutzerdefiniert…', larix: 'Settings → Connections → New → URL',
      drone: 'RTMP oder „Custom live“ in ihrer App',
      droneTitle: 'Fernsteuerung einer Drohne', ffmpegText: 'Eine Datei, als wäre sie live', scan: 'Scannen, um am Handy zuzusehen',
      keyHint: 'Jeder Name geht; Zuschauer sehen ihn.',
      recordings: 'Aufnahmen', films: 'Filme', download: 'Herunterladen', recording: 'Aufnahme läuft',
      since: 'seit {0}', viewersOf: '{0} Zuschauer', oneViewer: '1 Zuschauer', lag: 'langsamster {0} zurück', keyFrame: 'Schlüsselbild alle {0}',
      pushWaits: 'wartet auf den nächsten Versuch', pushConnects: 'verbindet sich', pushRuns: 'wird gesendet', pushEnds: 'endet', pushLag: '{0} zurück',
      offline: 'Der Server antwortet nicht. Neuer Versuch…', stateAway: 'weg', preview: 'Bild von {0}',
      soundOnly: 'nur Ton', minutes: '{0} min', hours: '{0} h {1} min', seconds: '{0} s', skips: '{0} Sprünge',
      clients: 'Zuschauer und Sender', client: 'Wer', stream: 'Stream', does: 'Tut', time: 'Seit', data: 'Daten', lagOf: 'Zurück', skipsOf: 'Sprünge', queue: 'Wartet',
      doesPublish: 'sendet', doesPlay: 'sieht zu', doesWait: 'wartet', doesNothing: 'nichts', doesLeave: 'geht', nobody: 'Niemand ist da.', andMore: 'Und {0} mehr.',
      limits: 'Grenzen', thing: 'Von', used: 'Belegt', most: 'Höchstens bisher', limit: 'Grenze', share: 'Anteil', setBy: 'Einstellung', noLimit: 'keine', fixed: 'fest',
      allConnections: 'Verbindungen', eachAddress: 'Verbindungen einer Adresse', allStreams: 'Streams', allNames: 'Namen von Streams', eachStream: 'Speicher je Stream',
      allHls: 'Zuschauer über HLS', allApplications: 'Anwendungen', allRecordings: 'Aufnahmen zugleich', allFilms: 'Filme zugleich', allSecured: 'Verbindungen mit TLS', allScripts: 'Instanzen mit Skript',
      allMemory: 'Speicher', allMessages: 'Nachrichten von Skripten', allScriptStreams: 'Streams von Skripten', allOperators: 'Bedienende',
      logIn: 'Anmelden', logOut: 'Abmelden', adminKey: 'Admin-Schlüssel', closed: 'Diesen Server sieht nur sein Administrator.', wrongKey: 'Das ist nicht der Admin-Schlüssel.',
      waitKey: 'Zu viele falsche Schlüssel. Wieder in {0} s.', ended: 'Ihre Sitzung ist zu Ende. Melden Sie sich neu an.', change: 'Ändern', disconnect: 'Trennen',
      noKey: 'Diesen Server sieht nur sein Administrator, und es gibt keinen Admin-Schlüssel: rill ctl admin-key macht einen.',
      record: 'Aufnehmen', stopRecording: 'Aufnahme beenden', deleteFile: 'Löschen', reallyDelete: 'Wirklich löschen?',
      reload: 'Einstellungen neu lesen', reloaded: 'Die Einstellungen werden gelesen. Was sich ändert, steht im Log.',
      closeFilm: 'Schließen', filmFailed: 'Dieser Browser kann diese Datei nicht abspielen. Laden Sie sie herunter.'
    }
  };

  // What is wrong and what to do, by the kind that the server calls it, where it is not said in the server's own English.
  var wrong = { de: {
    under_voltage: ['die Stromversorgung ist zu schwach: die Spannung bricht ein',
      'das Netzteil des Boards nehmen, oder ein kürzeres und dickeres Kabel, und nichts anderes an seinen USB hängen'],
    hot: ['das Board ist zu heiß: {0} °C',
      'Kühlkörper und Luft geben, aus der Sonne nehmen'],
    throttled: ['der Prozessor ist gedrosselt, weil er heiß oder die Versorgung schwach ist',
      'das Board kühlen und sein eigenes Netzteil nehmen'],
    card_full: ['die Karte ist fast voll: {0} MB sind frei',
      'Aufnahmen löschen, oder weniger davon behalten (record.keep_days)'],
    card_worn: ['die Karte ist abgenutzt: etwa {0} % ihres Lebens sind verbraucht',
      'kopieren, was darauf ist, und sie ersetzen'],
    certificate_ends: ['das Zertifikat für TLS gilt noch {0} Tage',
      'ein anderes an die Stelle von server.tls.certificate und server.tls.key legen, dann: rill ctl reload'],
    full: ['alle Plätze einer Tabelle sind belegt: in der letzten Minute fehlte {0}-mal einer',
      'größer einstellen: {1}'],
    network_full: ['das Netz ist voll: {0} von {1} Zuschauern zugleich bekommen nicht, was der Encoder sendet',
      'das Board mit Kabel anschließen, die Bitrate senken, oder weniger zugleich zusehen lassen'],
    contested: ['zwei Encoder wollen unter diesem Namen senden: in der letzten Minute wurde einer {0}-mal abgewiesen',
      'jedem Encoder einen eigenen Streamschlüssel geben'],
    frames_dropped: ['Bilder sind zu groß für den Speicher: {0} verworfen, das größte mit {1} Bytes',
      'die Bitrate im Encoder senken, oder limits.ring_bytes erhöhen'],
    silent: ['seit {0} s kommt nichts vom Encoder',
      'nachsehen, ob er läuft und wie gut seine Verbindung ist'],
    stalled: ['die Verbindung des Encoders stockte in der letzten Minute {0}-mal',
      'ihm eine bessere Verbindung geben, am besten ein Kabel, oder seine Bitrate senken'],
    late: ['die Leitung des Encoders ist zu langsam: Bild und Ton kommen {0} s später als zuvor',
      'die Bitrate senken, oder ihm eine bessere Leitung und einen schnelleren Rechner geben'],
    no_key_frame: ['es ist kein Schlüsselbild gekommen: kein Zuschauer hat ein Bild',
      'im Encoder alle 2 s ein Schlüsselbild einstellen'],
    key_frame_lost: ['das neueste Schlüsselbild ist nicht mehr im Speicher: wer dazukommt, hört sofort und wartet auf ein Bild',
      'im Encoder alle 2 s ein Schlüsselbild einstellen, oder limits.ring_bytes erhöhen'],
    key_frames_rare: ['nur alle {0} s kommt ein Schlüsselbild: Zuschauer warten bis zu {0} s auf ein Bild, oder sind so weit zurück',
      'im Encoder alle 2 s ein Schlüsselbild einstellen (Keyframe-Intervall)'],
    no_sound: ['der Encoder hat Ton angekündigt, und es ist keiner gekommen',
      'nachsehen, ob sein Mikrofon an und ausgewählt ist; AAC spielen alle ab'],
    not_for_phones: ['Handys und Browser zeigen dieses Bild vielleicht nicht: es ist {0}',
      'H.264 senden, 8 Bit, 4:2:0, Profil High, höchstens 1920x1080'],
    viewers_slow: ['Zuschauer sind zu langsam: {0} von {1} sind zurück, in der letzten Minute {2} Sprünge; es liegt an ihrer Verbindung, meist dem WLAN, nicht am Board',
      'sie näher ans WLAN bringen oder verkabeln, oder die Bitrate senken; rill ctl clients zeigt, wer hängt']
  } };

  var language = String(navigator.language || navigator.userLanguage || 'en').slice(0, 2).toLowerCase();
  if (!tables.hasOwnProperty(language)) language = 'en';
  document.documentElement.lang = language;

  function filled(text, values) {
    return text.replace(/\{(\d)\}/g, function (_, at) { return values[Number(at)]; });
  }

  // The text of this key, with {0} and {1} filled in.
  window.rillWords = function (key) {
    return filled(tables[language][key], Array.prototype.slice.call(arguments, 1));
  };

  // What is wrong, and what to do about it.
  window.rillWrong = function (finding) {
    var own = wrong[language] && wrong[language][finding.kind];
    var what = own ? filled(own[0], finding.figures) : finding.what, remedy = own ? filled(own[1], finding.figures) : finding.remedy;
    function sentence(text) { return text.charAt(0).toUpperCase() + text.slice(1) + '.'; }
    return { what: sentence(what), remedy: sentence(remedy) };
  };
})();
