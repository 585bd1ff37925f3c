// Who is there and how it goes for them, and how full everything is: two tables, asked for while they are unfolded and seen. A row stays
// while what it is of does, with the id of that in data-id.
(function () {
  'use strict';

  var words = window.rillWords, dom = window.rillDom, page = window.rillPage, admin = window.rillAdmin, element = dom.element;
  var CLIENTS_EVERY_MS = 2000;
  var LIMITS_EVERY_MS = 5000;
  // More rows are no page any more, on a phone least of all.
  var ROWS = 200;
  var DOES = { publishes: 'doesPublish', plays: 'doesPlay', pending: 'doesWait', idle: 'doesNothing', leaving: 'doesLeave' };
  var LIMITS = {
    connections: 'allConnections', connections_per_address: 'eachAddress', streams: 'allStreams', stream_names: 'allNames', ring_bytes: 'eachStream',
    hls_viewers: 'allHls', applications: 'allApplications', recordings: 'allRecordings', recorded_players: 'allFilms', tls_connections: 'allSecured', script_instances: 'allScripts',
    memory_bytes: 'allMemory', script_message_bytes: 'allMessages', script_streams: 'allScriptStreams', control_clients: 'allOperators'
  };

  // A table that is folded away until somebody wants it. Roles are said, because phones have its cells below each other.
  function Table(place, title, url, everyMs, columns, fill) {
    var table = this, heads = columns.map(function (key) { return element('th', { scope: 'col', role: 'columnheader', 'class': key, text: words(key) }); });
    this.url = url;
    this.everyMs = everyMs;
    this.columns = columns;
    this.fill = fill;
    this.rows = {};
    this.body = element('tbody', { role: 'rowgroup' });
    this.note = element('p', { 'class': 'note', role: 'status' });
    this.root = element('details', {}, [
      element('summary', { text: words(title) }),
      element('table', { role: 'table', 'aria-label': words(title) }, [
        element('thead', { role: 'rowgroup' }, [element('tr', { role: 'row' }, heads)]), this.body]),
      this.note
    ]);
    this.root.addEventListener('toggle', function () { table.ask(); });
    document.addEventListener('visibilitychange', function () { table.ask(); });
    place.appendChild(this.root);
  }

  Table.prototype.ask = function () {
    var table = this, request;
    clearTimeout(this.timer);
    if (this.asking || document.hidden || !this.root.hasAttribute('open')) return;
    this.asking = request = new XMLHttpRequest();
    request.open('GET', this.url + location.search);
    request.onload = function () { if (request.status === 200) table.fill(JSON.parse(request.responseText)); };
    request.onloadend = function () {
      table.asking = null;
      table.timer = setTimeout(function () { table.ask(); }, table.everyMs);
    };
    request.send();
  };

  // A row with cells of its own, each with what it is called beside it where there is no head.
  Table.prototype.row = function (id) {
    var cells = this.columns.map(function (key, at) {
      var cell = at ? element('td', { role: 'cell' }) : element('th', { scope: 'row', role: 'rowheader' });
      cell.setAttribute('data-label', words(key));
      cell.className = key;
      return cell;
    });
    return { root: element('tr', { role: 'row', 'data-id': id }, cells), cells: cells };
  };

  // Shows one row of each of these, in their order; the others go. Whoever stands on a row keeps it.
  Table.prototype.show = function (all, show) {
    var table = this, seen = {}, next, id, shown = all.slice(0, ROWS);
    function idOf(one) { return one.id || one.name; }
    shown.forEach(function (one) { seen[idOf(one)] = true; });
    for (id in this.rows) {
      if (seen.hasOwnProperty(id)) continue;
      this.body.removeChild(this.rows[id].root);
      delete this.rows[id];
    }
    next = this.body.firstChild;
    shown.forEach(function (one) {
      var id = idOf(one), row = table.rows.hasOwnProperty(id) ? table.rows[id] : (table.rows[id] = table.row(id));
      show(one, row.cells, row);
      if (row.root === next) next = next.nextSibling;
      else table.body.insertBefore(row.root, next);
    });
    this.body.parentNode.hidden = !all.length;
    this.note.textContent = all.length ? all.length > ROWS ? words('andMore', all.length - ROWS) : '' : words('nobody');
  };

  function address(text) { return text.replace(/:\d+$/, ''); }

  function showClients(said) {
    clients.show(said.clients, function (client, cells, row) {
      var away = client.lag_ms > 1000 || client.skips > 0, agent = client.agent || client.speaks;
      if (!row.who) {
        cells[0].appendChild(row.who = element('span'));
        cells[0].appendChild(row.agent = element('small'));
        cells[8].appendChild(admin.button(words('disconnect'), address(client.address), function () {
          admin.change('POST', '/api/clients/' + client.id + '/disconnect', function () { clients.ask(); });
        }));
      }
      row.who.textContent = address(client.address);
      row.agent.textContent = agent;
      cells[1].textContent = client.stream === null ? client.app : client.app + '/' + client.stream;
      cells[2].textContent = (DOES.hasOwnProperty(client.does) ? words(DOES[client.does]) : client.does) + ' · ' + client.speaks.toUpperCase();
      cells[3].textContent = page.duration(client.seconds);
      cells[4].textContent = page.bytes(client.does === 'publishes' ? client.bytes_in : client.bytes_out);
      cells[5].textContent = client.lag_ms === null ? '–' : page.seconds(client.lag_ms);
      cells[6].textContent = client.does === 'plays' ? client.skips : '–';
      cells[7].textContent = page.bytes(client.queue_bytes);
      row.root.className = away ? 'slow' : '';
    });
  }

  function count(name, value) {
    return value === null ? '–' : /_bytes$/.test(name) ? page.bytes(value) : String(value);
  }

  function showLimits(said) {
    limits.show(said.limits, function (limit, cells, row) {
      var name = limit.name, counted = limit.used !== null && limit.limit !== null;
      cells[0].textContent = LIMITS.hasOwnProperty(name) ? words(LIMITS[name]) : name;
      cells[1].textContent = count(name, limit.used);
      cells[2].textContent = count(name, limit.peak);
      cells[3].textContent = limit.limit === null ? words('noLimit') : count(name, limit.limit);
      cells[5].textContent = limit.key || words('fixed');
      if (!row.meter) cells[4].appendChild(row.meter = element('meter', { min: 0, 'aria-label': cells[0].textContent }));
      row.meter.hidden = !counted || !limit.limit;
      if (row.meter.hidden) return;
      row.meter.max = limit.limit;
      // A stream's memory is full as soon as it has run for a while.
      row.meter.high = row.meter.low = limit.limit * (name === 'ring_bytes' ? 1 : 0.8);
      row.meter.optimum = 0;
      row.meter.value = limit.used;
      row.meter.textContent = Math.round(100 * limit.used / limit.limit) + ' %';
      row.root.className = limit.used >= limit.limit && name !== 'memory_bytes' ? 'slow' : '';
    });
  }

  var place = document.getElementById('tables');
  var clients = new Table(place, 'clients', '/api/clients', CLIENTS_EVERY_MS, ['client', 'stream', 'does', 'time', 'data', 'lagOf', 'skipsOf', 'queue', 'change'], showClients);
  var limits = new Table(place, 'limits', '/api/limits', LIMITS_EVERY_MS, ['thing', 'used', 'most', 'limit', 'share', 'setBy'], showLimits);
})();
