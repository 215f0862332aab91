"""Charges as the FinOps Foundation's FOCUS 1.2 has them: one row a charge, and the rules its rows must keep. Pure.

ListCost and ContractedCost are unit price x quantity, unrounded; BilledCost and EffectiveCost are what the invoice
says. Sums of BilledCost are therefore the sums of invoices. All columns are written; those of what there is none of
here (commitment discounts, capacity reservations, availability zones) are null. What is ours alone begins with x_.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from shared.metering.allocate import Allocation
from shared.metering.prices import EXACT, Charge
from shared.metering.times import month_of, ms_of, next_month, time_of

VERSION = "1.2"
Value = str | Decimal | datetime | None
Row = dict[str, Value]


class Issuer(NamedTuple):
    """Who bills. FOCUS wants each of them named."""

    provider: str
    publisher: str
    invoice_issuer: str
    region: str | None = None


class Column(NamedTuple):
    type: str
    nullable: bool = True
    present: bool = False
    """Whether a dataset must have it whatever the provider supports."""


MUST, MAY_BE_NULL, OPTIONAL_TEXT = Column("text", False, True), Column("text", True, True), Column("text")
COLUMNS: dict[str, Column] = {
    "AvailabilityZone": OPTIONAL_TEXT,
    "BilledCost": Column("number", False, True),
    "BillingAccountId": MUST,
    "BillingAccountName": MUST,
    "BillingAccountType": OPTIONAL_TEXT,
    "BillingCurrency": Column("currency", False, True),
    "BillingPeriodEnd": Column("time", False, True),
    "BillingPeriodStart": Column("time", False, True),
    "CapacityReservationId": OPTIONAL_TEXT,
    "CapacityReservationStatus": OPTIONAL_TEXT,
    "ChargeCategory": MUST,
    "ChargeClass": MAY_BE_NULL,
    "ChargeDescription": MAY_BE_NULL,
    "ChargeFrequency": Column("text", False),
    "ChargePeriodEnd": Column("time", False, True),
    "ChargePeriodStart": Column("time", False, True),
    "CommitmentDiscountCategory": OPTIONAL_TEXT,
    "CommitmentDiscountId": OPTIONAL_TEXT,
    "CommitmentDiscountName": OPTIONAL_TEXT,
    "CommitmentDiscountQuantity": Column("number"),
    "CommitmentDiscountStatus": OPTIONAL_TEXT,
    "CommitmentDiscountType": OPTIONAL_TEXT,
    "CommitmentDiscountUnit": OPTIONAL_TEXT,
    "ConsumedQuantity": Column("number"),
    "ConsumedUnit": Column("unit"),
    "ContractedCost": Column("number", False, True),
    "ContractedUnitPrice": Column("number"),
    "EffectiveCost": Column("number", False, True),
    "InvoiceId": OPTIONAL_TEXT,
    "InvoiceIssuerName": MUST,
    "ListCost": Column("number", False, True),
    "ListUnitPrice": Column("number"),
    "PricingCategory": OPTIONAL_TEXT,
    "PricingCurrency": Column("currency", False),
    "PricingCurrencyContractedUnitPrice": Column("number"),
    "PricingCurrencyEffectiveCost": Column("number", False),
    "PricingCurrencyListUnitPrice": Column("number"),
    "PricingQuantity": Column("number", True, True),
    "PricingUnit": Column("unit", True, True),
    "ProviderName": MUST,
    "PublisherName": MUST,
    "RegionId": OPTIONAL_TEXT,
    "RegionName": OPTIONAL_TEXT,
    "ResourceId": OPTIONAL_TEXT,
    "ResourceName": OPTIONAL_TEXT,
    "ResourceType": OPTIONAL_TEXT,
    "ServiceCategory": MUST,
    "ServiceName": MUST,
    "ServiceSubcategory": Column("text", False),
    "SkuId": OPTIONAL_TEXT,
    "SkuMeter": OPTIONAL_TEXT,
    "SkuPriceDetails": Column("object"),
    "SkuPriceId": OPTIONAL_TEXT,
    "SubAccountId": OPTIONAL_TEXT,
    "SubAccountName": OPTIONAL_TEXT,
    "SubAccountType": OPTIONAL_TEXT,
    "Tags": Column("object"),
}
OURS = ("x_AllocatedFrom", "x_AllocationMethod", "x_Consumer", "x_GapSeconds", "x_Offering", "x_Plan")
WRITTEN = (*sorted(COLUMNS), *OURS)

SUBCATEGORIES: dict[str, tuple[str, ...]] = {
    "AI and Machine Learning": (
        "AI Platforms",
        "Bots",
        "Generative AI",
        "Machine Learning",
        "Natural Language Processing",
    ),
    "Analytics": ("Analytics Platforms", "Business Intelligence", "Data Processing", "Search", "Streaming Analytics"),
    "Business Applications": ("Productivity and Collaboration",),
    "Compute": ("Containers", "End User Computing", "Quantum Compute", "Serverless Compute", "Virtual Machines"),
    "Databases": (
        "Caching",
        "Data Warehouses",
        "Ledger Databases",
        "NoSQL Databases",
        "Relational Databases",
        "Time Series Databases",
    ),
    "Developer Tools": (
        "Developer Platforms",
        "Continuous Integration and Deployment",
        "Development Environments",
        "Source Code Management",
        "Quality Assurance",
    ),
    "Identity": ("Identity and Access Management",),
    "Integration": ("API Management", "Messaging", "Workflow Orchestration"),
    "Internet of Things": ("IoT Analytics", "IoT Platforms"),
    "Management and Governance": (
        "Architecture",
        "Compliance",
        "Cost Management",
        "Data Governance",
        "Disaster Recovery",
        "Endpoint Management",
        "Observability",
        "Support",
    ),
    "Media": ("Content Creation", "Gaming", "Media Streaming", "Mixed Reality"),
    "Migration": ("Data Migration", "Resource Migration"),
    "Mobile": (),
    "Multicloud": ("Multicloud Integration",),
    "Networking": (
        "Application Networking",
        "Content Delivery",
        "Network Connectivity",
        "Network Infrastructure",
        "Network Routing",
        "Network Security",
    ),
    "Other": (),
    "Security": ("Secret Management", "Security Posture Management", "Threat Detection and Response"),
    "Storage": ("Backup Storage", "Block Storage", "File Storage", "Object Storage", "Storage Platforms"),
    "Web": ("Application Platforms",),
}
"""Of each service category, besides `Other (CATEGORY)`."""
CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
ALLOWED = {
    "ChargeCategory": CATEGORIES,
    "ChargeClass": ("Correction",),
    "ChargeFrequency": ("One-Time", "Recurring", "Usage-Based"),
    "PricingCategory": ("Standard", "Dynamic", "Committed", "Other"),
    "CommitmentDiscountCategory": ("Spend", "Usage"),
    "CommitmentDiscountStatus": ("Used", "Unused"),
    "CapacityReservationStatus": ("Used", "Unused"),
    "ServiceCategory": tuple(SUBCATEGORIES),
}
# What is null with what, and is there with it.
TOGETHER = {
    "PricingUnit": "PricingQuantity",
    "ConsumedUnit": "ConsumedQuantity",
    "ResourceType": "ResourceId",
    "SubAccountName": "SubAccountId",
    "SubAccountType": "SubAccountId",
    "BillingAccountType": "BillingAccountId",
    "RegionName": "RegionId",
}
ONLY_WITH = {"SkuMeter": "SkuId", "SkuPriceDetails": "SkuPriceId", "ResourceName": "ResourceId"}
PRICED = (
    *("ListUnitPrice", "ContractedUnitPrice", "PricingQuantity", "PricingCategory", "SkuId", "SkuPriceId"),
    *("PricingCurrencyListUnitPrice", "PricingCurrencyContractedUnitPrice"),
)
PRODUCTS = {"ListUnitPrice": "ListCost", "ContractedUnitPrice": "ContractedCost"}
ONE_PARENT = {"ServiceName": "ServiceCategory", "SkuPriceId": "SkuId"}

TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?")
UNIT = re.compile(r"([0-9]+ )?[A-Za-z][A-Za-z0-9 ]*(-[A-Z][a-z]+s|/[A-Z][a-z]+|/[0-9]+ [A-Z][a-z]+s)?")


def row(charge: Charge, issuer: Issuer, invoice_id: str | None = None) -> Row:
    """A charge as a row. The billing account is the consumer, the sub-account its namespace."""
    product = EXACT.multiply(charge.quantity, charge.unit_price)
    start = month_of(ms_of(charge.start))
    tenure, sku = charge.tenure, f"{charge.tenure.offering}/{charge.per}"
    return {
        **dict.fromkeys(COLUMNS),
        **_parties(issuer),
        "BilledCost": charge.amount,
        "BillingAccountId": tenure.consumer or tenure.consumer_namespace,
        "BillingAccountName": tenure.consumer or tenure.consumer_namespace,
        "BillingAccountType": "Consumer",
        "BillingCurrency": charge.currency,
        "BillingPeriodStart": time_of(start),
        "BillingPeriodEnd": time_of(next_month(start + 1)),
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeDescription": f"{charge.per} of {tenure.instance} ({tenure.offering}, plan {tenure.plan or 'none'})",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodStart": charge.start,
        "ChargePeriodEnd": charge.end,
        "ConsumedQuantity": charge.quantity,
        "ConsumedUnit": charge.unit,
        "ContractedCost": product,
        "ContractedUnitPrice": charge.unit_price,
        "EffectiveCost": charge.amount,
        "InvoiceId": invoice_id,
        "ListCost": product,
        "ListUnitPrice": charge.unit_price,
        "PricingCategory": "Standard",
        "PricingCurrency": charge.currency,
        "PricingCurrencyContractedUnitPrice": charge.unit_price,
        "PricingCurrencyEffectiveCost": charge.amount,
        "PricingCurrencyListUnitPrice": charge.unit_price,
        "PricingQuantity": charge.quantity,
        "PricingUnit": charge.unit,
        "ResourceId": f"{tenure.offering}/{tenure.instance}/{tenure.instance_uid}",
        "ResourceName": tenure.instance,
        "ResourceType": tenure.offering,
        "ServiceCategory": "Compute",
        "ServiceName": tenure.offering,
        "ServiceSubcategory": "Containers",
        "SkuId": sku,
        "SkuMeter": charge.per,
        "SkuPriceDetails": None,
        "SkuPriceId": f"{sku}/{tenure.plan or '-'}",
        "SubAccountId": tenure.consumer_namespace or None,
        "SubAccountName": tenure.consumer_namespace or None,
        "SubAccountType": "Namespace" if tenure.consumer_namespace else None,
        "Tags": json.dumps({"chandlery.dev/plan": tenure.plan} if tenure.plan else {}),
        "x_AllocatedFrom": None,
        "x_AllocationMethod": None,
        "x_Consumer": tenure.consumer or None,
        "x_GapSeconds": EXACT.divide(Decimal(charge.gap_ms), Decimal(1000)),
        "x_Offering": tenure.offering,
        "x_Plan": tenure.plan or None,
    }


def allocated(
    node: str,
    charges: Mapping[str, Charge],
    found: Allocation,
    idle: Charge,
    issuer: Issuer,
    invoice_id: str | None = None,
) -> list[Row]:
    """A node's cost by those who used it, and one row for what was idle: their sums are its cost.

    `charges` say who they are (by the names in the allocation) and for when; FOCUS 1.2 has no columns of its own for
    split costs, so where they come from is in x_AllocatedFrom.
    """
    parts = [(charges[who], amount) for who, amount in found.parts.items()] + [(idle, found.idle)]
    return [_part(node, charge, amount, issuer, invoice_id) for charge, amount in parts]


def _part(node: str, charge: Charge, amount: Decimal, issuer: Issuer, invoice_id: str | None) -> Row:
    one = charge._replace(per="node-share", unit="Shares", quantity=Decimal("1.0"), unit_price=amount, amount=amount)
    method = "larger of requested and used, by CPU and memory"
    return row(one, issuer, invoice_id) | {"x_AllocatedFrom": node, "x_AllocationMethod": method}


def _parties(issuer: Issuer) -> Row:
    return {
        "InvoiceIssuerName": issuer.invoice_issuer,
        "ProviderName": issuer.provider,
        "PublisherName": issuer.publisher,
        "RegionId": issuer.region,
        "RegionName": issuer.region,
    }


def shown(value: Value) -> str:
    """As CSV has it; null is nothing at all."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return format(value, "f") if isinstance(value, Decimal) else value


def to_csv(rows: Iterable[Row]) -> str:
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(WRITTEN)
    writer.writerows([shown(each.get(name)) for name in WRITTEN] for each in rows)
    return target.getvalue()


def broken_rules(rows: Iterable[Mapping[str, str]]) -> list[str]:
    """Which of the published rules rows (as read from CSV) break: `3: ListCost: ...`. Only rules that rows can show."""
    parents: dict[tuple[str, str], str] = {}
    found = []
    for number, each in enumerate(rows, 1):
        problems = [*_columns(each), *_relations(each), *_parents(each, parents)]
        found += [f"{number}: {problem}" for problem in problems]
    return found


def _columns(each: Mapping[str, str]) -> Iterator[str]:
    for name, column in COLUMNS.items():
        if name not in each:
            if column.present:
                yield f"{name}: the column must be present"
        elif not each[name]:
            if not column.nullable:
                yield f"{name}: must not be null"
        elif problem := _malformed(name, column.type, each[name]):
            yield f"{name}: {problem}"
    for name in each:
        if name not in COLUMNS and not re.fullmatch(r"x_[A-Z][A-Za-z0-9]*", name):
            yield f"{name}: a column that FOCUS does not know must be called x_..."


def _malformed(name: str, kind: str, value: str) -> str | None:
    if name in ALLOWED and value not in ALLOWED[name]:
        return f"{value!r} is none of {', '.join(ALLOWED[name])}"
    if value != value.strip():
        return "must not begin or end with blanks"
    patterns = {"time": TIME, "number": NUMBER, "unit": UNIT, "currency": re.compile("[A-Z]{3}")}
    if kind in patterns and not patterns[kind].fullmatch(value):
        return f"{value!r} is no {kind} as FOCUS writes it"
    if kind == "object" and not _flat(value):
        return "must be a JSON object of numbers, strings, booleans and nulls"
    if name.endswith("UnitPrice") and _number(value) < 0:
        return "must not be negative"
    return None


def _flat(value: str) -> bool:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and not any(isinstance(each, dict | list) for each in found.values())


def _number(value: str) -> Decimal:
    try:
        return Decimal(value)
    except InvalidOperation:
        return Decimal("NaN")


def _relations(each: Mapping[str, str]) -> Iterator[str]:
    for name, other in TOGETHER.items():
        if name in each and bool(each[name]) != bool(each.get(other)):
            yield f"{name}: must be null when {other} is, and only then"
    for name, other in ONLY_WITH.items():
        if each.get(name) and not each.get(other):
            yield f"{name}: must be null when {other} is"
    category, part = each.get("ServiceCategory", ""), each.get("ServiceSubcategory")
    if part and part not in (*SUBCATEGORIES.get(category, ()), f"Other ({category})"):
        yield f"ServiceSubcategory: {part!r} is no part of {category!r}"
    yield from _by_category(each)
    if each.get("ChargeClass") != "Correction":
        yield from _products(each)
    for start, end in (("ChargePeriodStart", "ChargePeriodEnd"), ("BillingPeriodStart", "BillingPeriodEnd")):
        if each.get(start) and each.get(end) and not each[start] < each[end]:
            yield f"{end}: must be after {start}"


def _by_category(each: Mapping[str, str]) -> Iterator[str]:
    category, corrects = each.get("ChargeCategory"), each.get("ChargeClass") == "Correction"
    for name in PRICED:
        if name in each and category == "Tax" and each[name]:
            yield f"{name}: must be null for taxes"
        if name in each and category in ("Usage", "Purchase") and not corrects and not each[name]:
            yield f"{name}: must not be null for usage and purchases"
    if each.get("ConsumedQuantity") and category != "Usage":
        yield "ConsumedQuantity: must be null for what is no usage"
    if "ConsumedQuantity" in each and category == "Usage" and not corrects and not each["ConsumedQuantity"]:
        yield "ConsumedQuantity: must not be null for usage"
    if category == "Purchase" and each.get("ChargeFrequency") == "Usage-Based":
        yield "ChargeFrequency: purchases are not usage-based"


def _products(each: Mapping[str, str]) -> Iterator[str]:
    for price, cost in PRODUCTS.items():
        if each.get(price) and each.get("PricingQuantity") and each.get(cost):
            product = EXACT.multiply(_number(each[price]), _number(each["PricingQuantity"]))
            if product != _number(each[cost]):
                yield f"{cost}: must be {price} x PricingQuantity = {product}"


def _parents(each: Mapping[str, str], parents: dict[tuple[str, str], str]) -> Iterator[str]:
    for child, parent in ONE_PARENT.items():
        if each.get(child) and parent in each:
            known = parents.setdefault((child, each[child]), each[parent])
            if known != each[parent]:
                yield f"{child}: {each[child]} has two of {parent}"


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))
