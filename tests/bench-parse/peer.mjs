// The parse of the bench in Node: every part decoded, every HTML body cleaned. Prints microseconds of processor time a mail.
import { readdirSync, readFileSync } from 'node:fs';
import { simpleParser } from 'mailparser';
import sanitizeHtml from 'sanitize-html';

const [folder, rounds] = process.argv.slice(2);
const mails = readdirSync(folder).sort().map(name => readFileSync(`${folder}/${name}`));

const work = async () => {
  let seen = 0;
  for (const mail of mails) {
    const parsed = await simpleParser(mail, { skipHtmlToText: true, skipTextToHtml: true, skipImageLinks: true });
    if (parsed.html) seen += sanitizeHtml(parsed.html).length;
    for (const attachment of parsed.attachments) seen += attachment.size;
  }
  return seen;
};

await work();
const before = process.cpuUsage();
for (let round = 0; round < rounds; round++) await work();
const { user, system } = process.cpuUsage(before);
console.log((user + system) / rounds / mails.length);
