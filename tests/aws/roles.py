#!/usr/bin/env python3
"""Takes the roles that the deployed template made, on a moto server, which then enforces IAM.

    roles.py --endpoint http://127.0.0.1:5000 assume     prints {role: [access key, secret key, session token]}
    roles.py --endpoint http://127.0.0.1:5000 try FILE    FILE holds what assume printed; makes every call of the table
                                                    below as every role and prints {role: {call: error code or ""}}

The roles keep the very policies of k8s/aws/mailtri.yaml. Some things are put right for moto first:

- it calls the batch operations of SQS by names of their own, where IAM has one permission for the single and the batch form:
  whatever allows the one is made to allow the other;
- what its CloudFormation stored of a policy is not JSON, and is put again as JSON;
- it evaluates no condition and takes it as fulfilled: statements that have one are left out of the roles, and the buckets'
  policies are removed (workers/tests/template evaluates both).
"""

import argparse
import ast
import json
import urllib.request

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "us-east-1"
ROLES = ["parse", "scan", "route", "deliver", "exporter", "api", "operator"]
STAGES = ["parse", "scan", "route", "deliver"]
BATCHES = {
    "sqs:SendMessage": "sqs:SendMessageBatch",
    "sqs:DeleteMessage": "sqs:DeleteMessageBatch",
    "sqs:ChangeMessageVisibility": "sqs:ChangeMessageVisibilityBatch",
}


def client(args, service, keys=("test", "test", None)):
    names = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
    path = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
    session = botocore.session.get_session()
    return session.create_client(
        service, region_name=REGION, endpoint_url=args.endpoint, config=path, **dict(zip(names, keys))
    )


def account(args):
    return client(args, "sts").get_caller_identity()["Account"]


def for_moto(document):
    """The policy as moto understands it."""
    kept, batches = [s for s in document["Statement"] if "Condition" not in s], []
    for statement in kept:
        actions = [BATCHES[action] for action in listed(statement["Action"]) if action in BATCHES]
        if actions:
            batches.append({"Effect": "Allow", "Action": actions, "Resource": statement["Resource"]})
    return {**document, "Statement": kept + batches}


def listed(value):
    return value if isinstance(value, list) else [value]


def assume(args):
    iam, sts, owner = client(args, "iam"), client(args, "sts"), account(args)
    for bucket in ("mail", "audit", "access-log"):
        client(args, "s3").delete_bucket_policy(Bucket=f"mailtri-{bucket}-{owner}-{REGION}")
    taken = {}
    for role in ROLES:
        name = f"mailtri-{role}"
        document = iam.get_role_policy(RoleName=name, PolicyName=role)["PolicyDocument"]
        document = json.dumps(for_moto(ast.literal_eval(document)))
        iam.put_role_policy(RoleName=name, PolicyName=role, PolicyDocument=document)
        keys = sts.assume_role(RoleArn=f"arn:aws:iam::{owner}:role/{name}", RoleSessionName="test")["Credentials"]
        taken[role] = [keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"]]
    # From here on every call has to be allowed.
    plain = {"Content-Type": "text/plain"}
    switch = urllib.request.Request(f"{args.endpoint}/moto-api/reset-auth", data=b"0", headers=plain)
    urllib.request.urlopen(switch).close()
    return taken


def calls(args, owner, keys):
    """What is tried: a name, and a call without arguments."""
    sqs, s3 = client(args, "sqs", keys), client(args, "s3", keys)
    bucket = f"mailtri-mail-{owner}-{REGION}"
    for stage in STAGES:
        for queue in (stage, f"{stage}-dlq"):
            url = f"{args.endpoint}/{owner}/mailtri-{queue}"
            yield f"receive {queue}", lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=0, VisibilityTimeout=0)
            yield f"send {queue}", lambda: sqs.send_message(QueueUrl=url, MessageBody="tried")
            yield f"delete {queue}", lambda: sqs.delete_message(QueueUrl=url, ReceiptHandle="tried")
            yield f"depth {queue}", lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            yield f"purge {queue}", lambda: sqs.purge_queue(QueueUrl=url)
            yield f"remove {queue}", lambda: sqs.delete_queue(QueueUrl=url)
            yield f"reconfigure {queue}", lambda: sqs.set_queue_attributes(
                QueueUrl=url, Attributes={"VisibilityTimeout": "0"}
            )
    for prefix in args.prefixes:
        key = f"{prefix}tried"
        yield f"get {prefix}", lambda: s3.get_object(Bucket=bucket, Key=key)
        yield f"put {prefix}", lambda: s3.put_object(Bucket=bucket, Key=key, Body=b"tried")
        yield f"delete {prefix}", lambda: s3.delete_object(Bucket=bucket, Key=key)
    yield "list everything", lambda: s3.list_objects_v2(Bucket=bucket)
    yield "list queues", sqs.list_queues
    yield "list buckets", s3.list_buckets
    yield "remove the bucket", lambda: s3.delete_bucket(Bucket=bucket)
    yield "write the audit bucket", lambda: s3.put_object(
        Bucket=f"mailtri-audit-{owner}-{REGION}", Key="tried", Body=b"tried"
    )
    yield "read the access log", lambda: s3.get_object(Bucket=f"mailtri-access-log-{owner}-{REGION}", Key="mail/tried")


def attempt(args):
    with open(args.file, encoding="utf-8") as file:
        taken = json.load(file)
    owner, tried = args.owner, {}
    for role, keys in taken.items():
        tried[role] = {}
        for name, call in calls(args, owner, keys):
            try:
                call()
                code = ""
            except ClientError as error:
                code = error.response["Error"]["Code"]
            tried[role][name] = code
    return tried


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", required=True)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("assume")
    tries = commands.add_parser("try")
    tries.add_argument("file")
    tries.add_argument("--owner", required=True)
    tries.add_argument("--prefixes", nargs="+", required=True)
    args = parser.parse_args()
    print(json.dumps(assume(args) if args.command == "assume" else attempt(args)))


if __name__ == "__main__":
    main()
