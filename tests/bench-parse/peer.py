"""The parse of the bench in Python: every part decoded, every HTML body cleaned. Prints microseconds of processor time a mail."""

import pathlib
import sys
import time

import nh3
from fast_mail_parser import parse_email

folder, rounds = sys.argv[1], int(sys.argv[2])
mails = [path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())]


def work():
    seen = 0
    for mail in mails:
        parsed = parse_email(mail)
        seen += sum(len(nh3.clean(html)) for html in parsed.text_html)
        seen += sum(len(attachment.content) for attachment in parsed.attachments)
    return seen


work()
before = time.process_time()
for _ in range(rounds):
    work()
print((time.process_time() - before) / rounds / len(mails) * 1e6)
