//! Reads a template and resolves its intrinsic functions, as far as our templates use them. Anything else panics.

use std::{collections::BTreeMap, fs, path::PathBuf};

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Value, json};

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const REGION: &str = "eu-west-1";

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A template with its parameters given.
pub(crate) struct Stack {
    template: Value,
    parameters: BTreeMap<String, Value>,
}

impl Stack {
    /// A template of `k8s/aws`, with the defaults of its parameters.
    pub(crate) fn load(name: &str) -> Self {
        Self::with(name, &[])
    }

    pub(crate) fn with(name: &str, given: &[(&str, &str)]) -> Self {
        let text = fs::read_to_string(root().join("k8s/aws").join(name)).unwrap();
        let template = long_form(&Yaml::load_from_str(&text).unwrap()[0]);
        let defaults = template["Parameters"].as_object().unwrap().iter();
        let mut parameters: BTreeMap<String, Value> =
            defaults.filter_map(|(name, p)| Some((name.clone(), p.get("Default")?.clone()))).collect();
        parameters.extend(given.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        Self { template, parameters }
    }

    /// The properties of every resource of a type, resolved, by logical name.
    pub(crate) fn of_type(&self, kind: &str) -> BTreeMap<String, Value> {
        let resources = self.resources().iter().filter(|(_, r)| r["Type"] == kind && self.is_made(r));
        resources.map(|(name, r)| (name.clone(), self.resolve(&r["Properties"]))).collect()
    }

    /// Every resource as it is written.
    pub(crate) fn resources(&self) -> &Map<String, Value> {
        self.template["Resources"].as_object().unwrap()
    }

    pub(crate) fn outputs(&self) -> &Map<String, Value> {
        self.template["Outputs"].as_object().unwrap()
    }

    fn is_made(&self, resource: &Value) -> bool {
        resource.get("Condition").is_none_or(|name| self.condition(&json!({ "Condition": name })))
    }

    fn resolve(&self, value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(|item| self.resolve(item)).collect(),
            Value::Object(fields) if fields.len() == 1 => {
                let (name, argument) = fields.iter().next().unwrap();
                match name.as_str() {
                    "Ref" => self.reference(argument.as_str().unwrap()),
                    "Fn::GetAtt" => self.attribute(argument[0].as_str().unwrap(), argument[1].as_str().unwrap()),
                    "Fn::Sub" => self.substitute(argument.as_str().unwrap()),
                    "Fn::If" => {
                        let holds = self.condition(&json!({ "Condition": argument[0] }));
                        self.resolve(&argument[if holds { 1 } else { 2 }])
                    }
                    other if other.starts_with("Fn::") => panic!("{other} is not implemented here"),
                    other => json!({ other: self.resolve(argument) }),
                }
            }
            Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), self.resolve(v))).collect(),
            plain => plain.clone(),
        }
    }

    fn condition(&self, value: &Value) -> bool {
        let (name, argument) = value.as_object().unwrap().iter().next().unwrap();
        match name.as_str() {
            "Condition" => self.condition(&self.template["Conditions"][argument.as_str().unwrap()]),
            "Fn::Not" => !self.condition(&argument[0]),
            "Fn::And" => argument.as_array().unwrap().iter().all(|one| self.condition(one)),
            "Fn::Equals" => self.resolve(&argument[0]) == self.resolve(&argument[1]),
            other => panic!("{other} is not implemented here"),
        }
    }

    fn reference(&self, name: &str) -> Value {
        match name {
            "AWS::AccountId" => return json!(ACCOUNT),
            "AWS::Region" => return json!(REGION),
            "AWS::Partition" => return json!("aws"),
            "AWS::NoValue" => return Value::Null,
            _ => {}
        }
        if let Some(value) = self.parameters.get(name) {
            return value.clone();
        }
        let resource = self.resources().get(name).unwrap_or_else(|| panic!("nothing is called {name}"));
        match resource["Type"].as_str().unwrap() {
            "AWS::S3::Bucket" => self.resolve(&resource["Properties"]["BucketName"]),
            _ => json!(name),
        }
    }

    fn attribute(&self, name: &str, attribute: &str) -> Value {
        assert_eq!(attribute, "Arn");
        let resource = &self.resources()[name];
        let property = |key: &str| self.resolve(&resource["Properties"][key]).as_str().unwrap().to_owned();
        json!(match resource["Type"].as_str().unwrap() {
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{}", property("BucketName")),
            "AWS::SQS::Queue" => format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{}", property("QueueName")),
            "AWS::IAM::Role" => format!("arn:aws:iam::{ACCOUNT}:role/{}", property("RoleName")),
            "AWS::KMS::Key" => format!("arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"),
            other => panic!("no ARN is known of {other}"),
        })
    }

    fn substitute(&self, text: &str) -> Value {
        let mut parts = text.split("${");
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once('}').unwrap();
            let value = match name.split_once('.') {
                Some((resource, attribute)) => self.attribute(resource, attribute),
                None => self.reference(name),
            };
            out.push_str(value.as_str().unwrap());
            out.push_str(rest);
        }
        json!(out)
    }
}

/// YAML as JSON, CloudFormation's short forms as its long ones.
fn long_form(yaml: &Yaml<'_>) -> Value {
    match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(yes)) => json!(yes),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => json!(number.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(items) => items.iter().map(long_form).collect(),
        Yaml::Mapping(fields) => {
            let field = |(key, value): (&Yaml<'_>, &Yaml<'_>)| (key.as_str().unwrap().to_owned(), long_form(value));
            fields.iter().map(field).collect()
        }
        Yaml::Tagged(tag, value) => function(&tag.suffix, long_form(value)),
        Yaml::Representation(text, _, Some(tag)) => function(&tag.suffix, json!(text)),
        other => panic!("{other:?} is not expected in a template"),
    }
}

fn function(name: &str, argument: Value) -> Value {
    match (name, argument.as_str().and_then(|text| text.split_once('.'))) {
        ("Ref" | "Condition", _) => json!({ name: argument }),
        ("GetAtt", Some((resource, attribute))) => json!({ "Fn::GetAtt": [resource, attribute] }),
        _ => json!({ format!("Fn::{name}"): argument }),
    }
}
