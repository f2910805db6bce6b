// smsc.js [--throttle N] [--drop N]: a carrier that speaks SMPP 3.4 with the codec of the npm package smpp.
//
// It listens on a free port of 127.0.0.1 and writes one JSON object a line: first {"event":"listen","port":…}, then
// what it read, in order. It answers every submit_sm with an opaque id, every N-th with ESME_RTHROTTLED (--throttle),
// cuts the connection instead of the N-th answer (--drop), and sends a receipt to whoever asked for one, on the same
// session. It ends when its standard input does.
'use strict';

const crypto = require('crypto');
const smpp = require('smpp');

const options = { throttle: 0, drop: 0 };
for (let i = 2; i < process.argv.length; i += 2) {
  const name = process.argv[i].replace(/^--/, '');
  const value = Number(process.argv[i + 1]);
  if (!(name in options) || !Number.isInteger(value) || value < 1) {
    console.error('usage: smsc.js [--throttle N] [--drop N]');
    process.exit(2);
  }
  options[name] = value;
}

const say = (event, fields) => process.stdout.write(JSON.stringify({ event, ...fields }) + '\n');

// The reading filter of the package decodes by data_coding; here text is wanted as the person's phone shows it.
function shown(pdu) {
  const udh = pdu.short_message.udh;
  const text = pdu.short_message.message;
  return {
    text: Buffer.isBuffer(text) ? text.toString('hex') : text,
    udh: udh ? Buffer.concat(udh).toString('hex') : '',
  };
}

let submitted = 0;

function answerSubmit(session, pdu) {
  submitted++;
  say('submit', {
    sequence: pdu.sequence_number, to: pdu.destination_addr, from: pdu.source_addr, data_coding: pdu.data_coding,
    esm_class: pdu.esm_class, registered_delivery: pdu.registered_delivery, validity: String(pdu.validity_period), ...shown(pdu),
  });
  if (submitted === options.drop) {
    session.destroy();
    return;
  }
  if (options.throttle && submitted % options.throttle === 0) {
    session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    return;
  }
  const id = crypto.randomBytes(10).toString('hex');
  session.send(pdu.response({ message_id: id }));
  if (pdu.registered_delivery & 1) {
    session.deliver_sm({
      source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr,
      esm_class: smpp.ESM_CLASS.MC_DELIVERY_RECEIPT,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010000 stat:DELIVRD err:000 text:`,
    }, (answer) => say('receipt answered', { status: answer.command_status }));
  }
}

const server = smpp.createServer((session) => {
  session.on('error', (e) => say('error', { text: e.message }));
  session.on('close', () => say('close'));
  session.on('enquire_link', (pdu) => session.send(pdu.response()));
  session.on('unbind', (pdu) => {
    say('unbind');
    session.send(pdu.response(), () => session.close());
  });
  session.on('submit_sm', (pdu) => answerSubmit(session, pdu));
  for (const kind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(kind, (pdu) => {
      say('bind', { kind, system_id: pdu.system_id, password_ok: pdu.password === 'secret', version: pdu.interface_version });
      session.send(pdu.response({ command_status: pdu.password === 'secret' ? smpp.ESME_ROK : smpp.ESME_RINVPASWD }));
    });
  }
});

server.listen(0, '127.0.0.1', () => say('listen', { port: server.address().port }));
process.stdin.resume().on('end', () => process.stdout.write('', () => process.exit(0)));
