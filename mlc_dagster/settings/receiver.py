"""The section of the receiver: where vendors reach us."""

from mlc_dagster.settings.section import Section, Url


class ReceiverSettings(Section):
    """`mlc receiver serve` as vendors see it: the address of the proxy in front of it, without /hooks."""

    url: Url
