"""ShippingService: hands parcels to the carrier, who does not go everywhere, and calls them back."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from django.utils import timezone
from pydantic import AfterValidator, BaseModel

from participants.faults import staged
from participants.models import ClosedRegion, Effect, Shipment, ShippingInbox
from sagas import Rejected, command
from sagas.inbox import once


def region_of(address: Any) -> str:
    """Return the country that an address lies in: its ``country``, or what follows the last comma.

    Raises ValueError if it names none.
    """
    if isinstance(address, Mapping):
        region = address.get("country")
    else:
        region = address.rpartition(",")[2] if isinstance(address, str) else None
    if not isinstance(region, str) or not region.strip():
        raise ValueError('must be a text that ends with the country, or an object with "country"')
    return region.strip()


def _with_region(address: Any) -> Any:
    region_of(address)
    return address


#: "12 Mill Lane, Leeds, United Kingdom", or {"street": …, "city": …, "country": "United Kingdom"}.
Address = Annotated[Any, AfterValidator(_with_region)]


class Parcel(BaseModel):
    """What shipping wants to know of an order."""

    shipping_address: Address


@command("ShippingService.CreateShipment", model=Parcel)
@staged
@once(ShippingInbox)
def create_shipment(order: Any) -> dict[str, Any]:
    """Have the carrier fetch a parcel. Rejected if he does not serve the address."""
    address = order.input.shipping_address
    region = region_of(address)
    if ClosedRegion.objects.filter(name__iexact=region).exists():
        raise Rejected(f"address not served: the carrier does not go to {region}")
    shipment = Shipment.objects.create(
        **Effect.origin(order),
        region=region[:100],
        address=address,
        tracking_number=_tracking_number(order.meta.key),
    )
    return {"tracking_number": shipment.tracking_number}


@command("ShippingService.CancelShipment")
@staged
@once(ShippingInbox)
def cancel_shipment(undo: Any) -> dict[str, Any]:
    """Call the parcel back."""
    shipment = Shipment.objects.get(key=undo.meta.undoes)
    if shipment.cancelled_at is None:
        shipment.cancelled_at = timezone.now()
        shipment.save(update_fields=["cancelled_at"])
    return {"tracking_number": shipment.tracking_number}


def _tracking_number(key: str) -> str:
    return "TRK" + hashlib.sha256(key.encode()).hexdigest()[:16].upper()
