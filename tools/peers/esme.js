// esme.js PORT SYSTEM_ID PASSWORD PEOPLE: a client that speaks SMPP 3.4 with the codec of the npm package smpp.
//
// It binds to 127.0.0.1:PORT and sends each of PEOPLE invented numbers a Chinese text in two parts, with a receipt
// asked for, and an English one in one part, without. When everything is answered and receipted, or a minute has
// passed, it writes one JSON object with what it was told, in order, and unbinds.
'use strict';

const smpp = require('smpp');

const [port, system_id, password, people] = process.argv.slice(2);
if (!people) {
  console.error('usage: esme.js PORT SYSTEM_ID PASSWORD PEOPLE');
  process.exit(2);
}

const told = { bind: -1, answers: [], receipts: [], errors: [] };
const parts = ['暴雨橙色预警：未来三小时，', '请避开低洼处。'];
const expected = { answers: 3 * people, receipts: 2 * people };

const session = smpp.connect({ host: '127.0.0.1', port: Number(port) });
session.on('error', (e) => { told.errors.push(e.message); finish(); });
session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('deliver_sm', (pdu) => {
  session.send(pdu.response());
  const receipt = /id:(\S+) .*stat:(\S+)/.exec(pdu.short_message.message) || [];
  told.receipts.push({ id: receipt[1], state: receipt[2], from: pdu.source_addr, esm_class: pdu.esm_class });
  finishIfAll();
});
session.on('connect', () => session.bind_transceiver({ system_id, password, interface_version: 0x34 }, (answer) => {
  told.bind = answer.command_status;
  if (told.bind !== smpp.ESME_ROK) {
    finish();
    return;
  }
  for (let i = 0; i < people; i++) {
    const to = { destination_addr: `99910000${String(i).padStart(4, '0')}`, dest_addr_ton: 1, dest_addr_npi: 1, source_addr: '1069' };
    parts.forEach((message, n) => submit({
      ...to, data_coding: 8, registered_delivery: 1, short_message: { udh: Buffer.from([5, 0, 3, i & 255, parts.length, n + 1]), message },
    }));
    submit({ ...to, data_coding: 0, registered_delivery: 0, short_message: { message: 'Heavy rain. Stay off low ground.' } });
  }
}));

function submit(fields) {
  session.submit_sm(fields, (answer) => {
    told.answers.push({ status: answer.command_status, id: answer.message_id });
    finishIfAll();
  });
}

function finishIfAll() {
  if (told.answers.length >= expected.answers && told.receipts.length >= expected.receipts) finish();
}

const deadline = setTimeout(finish, 60000);
let finished = false;

function finish() {
  if (finished) return;
  finished = true;
  clearTimeout(deadline);
  console.log(JSON.stringify(told));
  session.unbind(() => session.close());
  setTimeout(() => process.exit(0), 1000).unref();
}
