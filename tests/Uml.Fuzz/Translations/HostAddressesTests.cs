using Uml.Core.Cpu.Paging;
using Uml.Core.Cpu.State;
using Uml.Core.Cpu;

namespace Uml.Fuzz.Translations;

/// <summary>The fuzzer of the checker sees what it is there to see.</summary>
public sealed unsafe class HostAddressesTests
{
    [TestCase("a general register")]
    [TestCase("a vector register")]
    [TestCase("the x87 unit")]
    [TestCase("a field")]
    [TestCase("memory")]
    public void An_address_that_got_to_the_guest_is_found(string place)
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit, codeCacheSize: 1 << 20).Start64();
        var host = HostAddresses.Of(machine);
        Assert.That(host.FindDamage(), Is.Null);
        CpuState* s = machine.State;
        byte* at = place switch
        {
            "a general register" => (byte*)&s->Gpr[3],
            "a vector register" => (byte*)&s->Vectors + 61,
            "the x87 unit" => (byte*)&s->X87,
            "a field" => (byte*)&s->Hot.FlagWord,
            _ => s->Engine->RamBase + BareGuest.Data + 0x123,
        };

        // SAFETY: each has eight bytes or more.
        *(ulong*)at = (ulong)s->Engine->RamBase + 0x1234;

        Assert.That(host.FindDamage(), Does.Contain($"in {place}"));
    }

    [Test]
    public void A_field_of_the_host_that_changed_is_found()
    {
        using BareGuest machine = new BareGuest(CpuEngine.Jit, codeCacheSize: 1 << 20).Start64();
        var host = HostAddresses.Of(machine);
        PagingState.Of(machine.State)->WalkReserved ^= 1;

        Assert.That(host.FindDamage(), Does.Contain("changed"));
    }
}
