#!/usr/bin/env python3
"""Deploys a template of k8s/aws and prints the stack's outputs as one JSON object.

    deploy.py --endpoint http://127.0.0.1:4566 --stack mailtri --template k8s/aws/mailtri.yaml \
        --strip k8s/aws/emulator-strip.json [--parameter Prefix=mailtri]...

With --strip, the resources that the listed rules name are left out; what was left out goes to standard error. A rule that matches nothing is an error, so that the list stays as short as the emulator allows.
Without an endpoint it deploys to AWS, with the credentials of the environment; stripping is then refused.
"""

import argparse
import json
import sys

import botocore.session
import yaml
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

INLINE_LIMIT = 51_200


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms as its long ones."""


def long_form(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", long_form)


def strip(template, rules):
    """Leaves out what the rules name; answers one line for each rule."""
    left_out = []
    for rule in rules:
        having = rule.get("having")
        hit = lambda r: r["Type"] == rule["type"] and (having is None or having in r["Properties"])
        names = [name for name, resource in template["Resources"].items() if hit(resource)]
        for name in names:
            del template["Resources"][name]
        found = len(names)
        what = rule["type"] + (f" with {having}" if having else "")
        if not found:
            raise SystemExit(f"deploy: the rule for {what} matches nothing")
        left_out.append(f"left out {found} × {what}: {rule['reason']}")
    return left_out


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoint", help="of an emulator; without it, AWS")
    parser.add_argument("--region", default="eu-west-1")
    parser.add_argument("--stack", default="mailtri")
    parser.add_argument("--template", required=True)
    parser.add_argument("--strip", help="the list of what an emulator refuses")
    parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
    return parser.parse_args()


def client(args):
    session = botocore.session.get_session()
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} if args.endpoint else {}
    return session.create_client("cloudformation", region_name=args.region, endpoint_url=args.endpoint, **keys)


def body_of(args):
    """The template's text: as it is, or, stripped, as JSON."""
    with open(args.template, encoding="utf-8") as file:
        text = file.read()
    if args.strip:
        with open(args.strip, encoding="utf-8") as file:
            rules = json.load(file)["rules"]
        name = args.template.rsplit("/", 1)[-1]
        template = yaml.load(text, Loader)
        for line in strip(template, [rule for rule in rules if rule["template"] == name]):
            print(line, file=sys.stderr)
        text = json.dumps(template, separators=(",", ":"), default=str)
    if len(text.encode()) > INLINE_LIMIT:
        raise SystemExit(f"deploy: the template has more than {INLINE_LIMIT} bytes")
    return text


def why(cloudformation, stack):
    """The resources that failed, with the reasons that were given."""
    events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
    failed = [e for e in events if e["ResourceStatus"].endswith("FAILED")]
    return "; ".join(f"{e['LogicalResourceId']}: {e.get('ResourceStatusReason', '')}" for e in failed)


def main():
    args = arguments()
    if args.strip and not args.endpoint:
        raise SystemExit("deploy: only an emulator gets a stripped template")
    pairs = [p.split("=", 1) for p in args.parameter]
    cloudformation = client(args)
    try:
        cloudformation.create_stack(
            StackName=args.stack,
            TemplateBody=body_of(args),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in pairs],
        )
        waiter = cloudformation.get_waiter("stack_create_complete")
        waiter.wait(StackName=args.stack, WaiterConfig={"Delay": 1, "MaxAttempts": 600})
        stack = cloudformation.describe_stacks(StackName=args.stack)["Stacks"][0]
    except WaiterError:
        raise SystemExit(f"deploy: the stack was not created: {why(cloudformation, args.stack)}") from None
    except (ClientError, BotoCoreError) as error:
        raise SystemExit(f"deploy: {error}") from None
    print(json.dumps({o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}, indent=2))


if __name__ == "__main__":
    main()
