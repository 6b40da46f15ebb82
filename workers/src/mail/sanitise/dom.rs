//! For tests: the tree that `html5ever` makes of HTML, looked at node by node and written again.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::{Rc, Weak};

use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::tree_builder::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::{Attribute, ExpandedName, ParseOpts, QualName, local_name, ns, parse_document, parse_fragment};

/// A node: an element with a name, text, or neither (the document, a comment).
#[derive(Default)]
pub(super) struct Node {
    name: Option<QualName>,
    attributes: RefCell<Vec<Attribute>>,
    text: RefCell<Option<String>>,
    is_comment: bool,
    children: RefCell<Vec<Rc<Node>>>,
    parent: RefCell<Weak<Node>>,
    contents: Option<Rc<Node>>,
}

/// How HTML is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Context {
    /// As the content of this element.
    Within(&'static str),
    /// As the content of the body of a page.
    Page,
}

/// Reads HTML.
pub(super) fn parse(html: &str, context: Context, scripting: bool) -> Rc<Node> {
    let mut options = ParseOpts::default();
    options.tree_builder.scripting_enabled = scripting;
    match context {
        Context::Within(name) => {
            let name = QualName::new(None, ns!(html), name.into());
            let document = parse_fragment(Dom::default(), options, name, vec![], scripting).one(html);
            let root = document.children.borrow().first().cloned();
            root.unwrap()
        }
        Context::Page => {
            let page =
                format!("<!doctype html><html><head><title>x</title></head><body><div>{html}</div></body></html>");
            let document = parse_document(Dom::default(), options).one(page);
            let find = |node: &Rc<Node>, name: &str| {
                let children = node.children.borrow();
                children.iter().find(|child| child.local() == Some(name)).cloned()
            };
            find(&find(&find(&document, "html").unwrap(), "body").unwrap(), "div").unwrap()
        }
    }
}

impl Node {
    /// An element's name.
    pub(super) fn local(&self) -> Option<&str> {
        self.name.as_ref().map(|name| &*name.local)
    }

    /// Calls `look` for every node below with its name, whether it is HTML's own, and its attributes.
    pub(super) fn visit(&self, look: &mut impl FnMut(&str, bool, &[(String, String)])) {
        for child in self.children.borrow().iter().chain(&self.contents) {
            if child.is_comment {
                look("#comment", true, &[]);
            }
            if let Some(name) = &child.name {
                let attributes = child.attributes.borrow();
                let attributes = attributes.iter().map(|a| (a.name.local.to_string(), a.value.to_string()));
                look(&name.local, name.ns == ns!(html), &attributes.collect::<Vec<_>>());
            }
            child.visit(look);
        }
    }

    /// The content as markup (HTML standard §13.3).
    pub(super) fn inner_html(&self) -> String {
        let mut out = String::new();
        for child in self.children.borrow().iter() {
            if let Some(text) = &*child.text.borrow() {
                out.push_str(&escaped(text));
            }
            let Some(name) = child.local() else { continue };
            out.push_str(&format!("<{name}"));
            for attribute in child.attributes.borrow().iter() {
                let value = escaped(&attribute.value).replace('"', "&quot;");
                out.push_str(&format!(" {}=\"{value}\"", &*attribute.name.local));
            }
            out.push('>');
            if !matches!(name, "br" | "col" | "hr" | "img" | "wbr") {
                out.push_str(&format!("{}</{name}>", child.inner_html()));
            }
        }
        out
    }

    fn detach(self: &Rc<Self>) {
        if let Some(parent) = self.parent.take().upgrade() {
            parent.children.borrow_mut().retain(|child| !Rc::ptr_eq(child, self));
        }
    }

    fn insert(self: &Rc<Self>, at: usize, child: NodeOrText<Rc<Self>>) {
        let child = match child {
            NodeOrText::AppendNode(node) => node,
            NodeOrText::AppendText(text) => {
                let before = at.checked_sub(1).and_then(|before| self.children.borrow().get(before).cloned());
                if let Some(before) = before.filter(|before| before.text.borrow().is_some()) {
                    before.text.borrow_mut().as_mut().unwrap().push_str(&text);
                    return;
                }
                Rc::new(Self { text: RefCell::new(Some(text.to_string())), ..Self::default() })
            }
        };
        child.detach();
        *child.parent.borrow_mut() = Rc::downgrade(self);
        let at = at.min(self.children.borrow().len());
        self.children.borrow_mut().insert(at, child);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('\u{a0}', "&nbsp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[derive(Default)]
struct Dom {
    document: Rc<Node>,
}

impl TreeSink for Dom {
    type Handle = Rc<Node>;
    type Output = Rc<Node>;
    type ElemName<'a> = ExpandedName<'a>;

    fn finish(self) -> Rc<Node> {
        self.document
    }

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn get_document(&self) -> Rc<Node> {
        Rc::clone(&self.document)
    }

    fn elem_name<'a>(&'a self, target: &'a Rc<Node>) -> ExpandedName<'a> {
        target.name.as_ref().unwrap().expanded()
    }

    fn create_element(&self, name: QualName, attributes: Vec<Attribute>, _: ElementFlags) -> Rc<Node> {
        let contents = (name.local == local_name!("template")).then(Rc::default);
        Rc::new(Node { name: Some(name), attributes: RefCell::new(attributes), contents, ..Node::default() })
    }

    fn create_comment(&self, _: StrTendril) -> Rc<Node> {
        Rc::new(Node { is_comment: true, ..Node::default() })
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Rc<Node> {
        Rc::new(Node { is_comment: true, ..Node::default() })
    }

    fn append(&self, parent: &Rc<Node>, child: NodeOrText<Rc<Node>>) {
        let end = parent.children.borrow().len();
        parent.insert(end, child);
    }

    fn append_based_on_parent_node(&self, element: &Rc<Node>, previous: &Rc<Node>, child: NodeOrText<Rc<Node>>) {
        if element.parent.borrow().upgrade().is_some() {
            self.append_before_sibling(element, child);
        } else {
            self.append(previous, child);
        }
    }

    fn append_doctype_to_document(&self, _: StrTendril, _: StrTendril, _: StrTendril) {}

    fn get_template_contents(&self, target: &Rc<Node>) -> Rc<Node> {
        target.contents.clone().unwrap()
    }

    fn same_node(&self, x: &Rc<Node>, y: &Rc<Node>) -> bool {
        Rc::ptr_eq(x, y)
    }

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn append_before_sibling(&self, sibling: &Rc<Node>, child: NodeOrText<Rc<Node>>) {
        if let NodeOrText::AppendNode(node) = &child {
            node.detach();
        }
        let parent = sibling.parent.borrow().upgrade().unwrap();
        let at = parent.children.borrow().iter().position(|other| Rc::ptr_eq(other, sibling)).unwrap();
        parent.insert(at, child);
    }

    fn add_attrs_if_missing(&self, target: &Rc<Node>, attributes: Vec<Attribute>) {
        let mut present = target.attributes.borrow_mut();
        for attribute in attributes {
            if present.iter().all(|other| other.name != attribute.name) {
                present.push(attribute);
            }
        }
    }

    fn remove_from_parent(&self, target: &Rc<Node>) {
        target.detach();
    }

    fn reparent_children(&self, node: &Rc<Node>, parent: &Rc<Node>) {
        for child in node.children.take() {
            *child.parent.borrow_mut() = Weak::new();
            self.append(parent, NodeOrText::AppendNode(child));
        }
    }
}
