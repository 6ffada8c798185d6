//! Whose number is this? One person has several names: the number that the app gave, the one that WhatsApp uses instead,
//! an id that a provider made. Providers teach them: the answer to a send and each status name the person whom the
//! message went to, and an inbound message may name its writer twice. Everything that asks who somebody is asks here.

use std::collections::HashSet;

use crate::verification::values::{NumberIndex, NumberTail};

/// More names than anybody has: a provider that calls everybody the same must not make one person of all.
const MOST_NAMES: usize = 32;

/// The names of one person, the one asked for first, each before those that are known through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person(Vec<Named>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Named {
    name: NumberIndex,
    /// The name through which this one is known; none of the first.
    through: Option<NumberIndex>,
}

/// Another name of the same person, as something that is kept tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    pub to: NumberIndex,
    /// How the number among the two ends.
    pub tail: Option<NumberTail>,
}

impl Person {
    /// `links` are those of one name, at most one for each other name.
    ///
    /// Names of numbers that end differently are of different people. So a name that is linked to both was given to two
    /// by mistake, or went from one to the other, and leads nowhere.
    ///
    /// # Errors
    /// Those of `links`.
    pub fn of<E>(
        name: NumberIndex,
        mut links: impl FnMut(NumberIndex) -> Result<Vec<Link>, E>,
    ) -> Result<Self, E> {
        let mut names = vec![Named { name, through: None }];
        let mut seen = HashSet::from([name]);
        let mut next = 0;
        while let Some(&Named { name, .. }) = names.get(next) {
            next += 1;
            for Link { to, .. } in of_one(links(name)?) {
                if names.len() < MOST_NAMES && seen.insert(to) && !of_one(links(to)?).is_empty() {
                    names.push(Named { name: to, through: Some(name) });
                }
            }
        }
        Ok(Self(names))
    }

    pub fn names(&self) -> impl DoubleEndedIterator<Item = NumberIndex> {
        self.0.iter().map(|named| named.name)
    }

    /// With the name through which each is known.
    pub fn ways(&self) -> impl DoubleEndedIterator<Item = (NumberIndex, Option<NumberIndex>)> {
        self.0.iter().map(|named| (named.name, named.through))
    }

    pub fn is_called(&self, name: NumberIndex) -> bool {
        self.names().any(|known| known == name)
    }

    /// The same for every name of a person.
    pub fn key(&self) -> NumberIndex {
        self.names().min().unwrap_or(self.0[0].name)
    }
}

/// None where they tell of two people.
fn of_one(links: Vec<Link>) -> Vec<Link> {
    let tails: HashSet<_> = links.iter().filter_map(|link| link.tail).collect();
    if tails.len() > 1 || links.len() > MOST_NAMES { Vec::new() } else { links }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(letter: char) -> NumberIndex {
        NumberIndex([u8::try_from(letter).unwrap(); 16])
    }

    /// `known` are pairs of names and how the number among them ends.
    fn named(asked: char, known: &[(&str, u16)]) -> String {
        let person = Person::of(name(asked), |of| {
            let links = known.iter().filter_map(|(pair, tail)| {
                let pair: Vec<_> = pair.chars().map(name).collect();
                let to = if pair[0] == of { pair[1] } else { pair[0] };
                pair.contains(&of).then_some(Link { to, tail: Some(NumberTail(*tail)) })
            });
            Ok::<_, ()>(links.collect())
        });
        person.unwrap().names().map(|name| char::from(name.0[0])).collect()
    }

    #[test]
    fn names_lead_to_each_other_unless_they_were_given_to_two() {
        let known = [("aw", 1), ("bw", 1), ("bu", 1), ("cv", 2), ("dv", 3), ("cx", 2)];
        for (asked, names) in
            [('a', "awbu"), ('w', "wabu"), ('u', "ubwa"), ('c', "cx"), ('d', "d"), ('v', "v"), ('z', "z")]
        {
            assert_eq!(named(asked, &known), names, "{asked}");
        }
    }

    #[test]
    fn a_name_of_more_than_anybody_has_leads_nowhere() {
        let crowd = |of: NumberIndex| {
            let hub = NumberIndex([255; 16]);
            let link = |to| Link { to, tail: None };
            Ok::<_, ()>(if of == hub {
                (0..100).map(|n| link(NumberIndex([n; 16]))).collect()
            } else {
                vec![link(hub)]
            })
        };
        assert_eq!(Person::of(NumberIndex([7; 16]), crowd).unwrap().names().count(), 1);
    }
}
