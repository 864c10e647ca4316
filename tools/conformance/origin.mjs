// The suite's own origin server, on this machine's own address alone and a port that is free: it listens everywhere
// else, and on a port that it is told.
// usage: node origin.mjs SUITE_FOLDER; the suite's server prints its address.

import net from 'node:net'

const listen = net.Server.prototype.listen
net.Server.prototype.listen = function () { return listen.call(this, 0, '127.0.0.1') }

process.env.npm_config_protocol = 'http'
// Only to read the addresses that it is asked for.
process.env.npm_config_port = '80'
process.env.npm_config_pidfile = '/dev/null'
await import(`file://${process.argv[2]}/server/server.mjs`)
