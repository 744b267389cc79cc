using Uml.Core.Machine;
using Uml.Core.Sandbox;
using Uml.Devices.Pci;

namespace Uml.Hosting.Testing;

/// <summary>A guest of random accesses to one device of a sandbox, and perhaps at times to the others, which interplay with it.</summary>
internal sealed class SandboxGuest(DeviceSandbox sandbox, string id, DeviceConformanceOptions options, bool everywhere = false)
{
    private const int AccessesOfStranger = 40;

    /// <summary>Bytes of a range, or ports or registers, that are read one after the other.</summary>
    private const ulong LongestRead = 4096;
    private const ulong LongestPause = 3_000_000;

    private readonly IMachineDevice _device = sandbox.Devices.Find(id)
        ?? throw new ArgumentException($"The machine has no device '{id}'.", nameof(id));

    /// <summary>The last action, for messages.</summary>
    private string _last = "nothing";

    public static IEnumerable<DeviceClaim> InOrder(IEnumerable<DeviceClaim> claims) => claims.OrderBy(claim => (claim.Space, claim.Start));

    /// <summary>Accesses the device, lets time pass, takes interrupts.</summary>
    /// <param name="random">Decides.</param>
    /// <param name="end">When to end, in guest time.</param>
    public void Run(Random random, ulong end) => Run(random, end, options.Accesses);

    /// <summary>A few of the same.</summary>
    public void RunBriefly(Random random) => Run(random, ulong.MaxValue, AccessesOfStranger);

    /// <summary>Reads every register of the device in two sandboxes, then makes the same accesses in both, and throws when results differ.</summary>
    /// <param name="other">The other one.</param>
    /// <param name="random">Decides.</param>
    /// <param name="when">Behind what the two are to be the same, for messages.</param>
    public void RunBeside(SandboxGuest other, Random random, string when)
    {
        foreach ((string access, ulong mine, ulong others) in ReadAll().Zip(other.ReadAll(), (a, b) => (a.Access, a.Value, b.Value)))
        {
            if (mine != others)
            {
                throw new DeviceConformanceException($"Device '{id}' is not as it was {when}: {access} gives 0x{mine:x}, in the copy 0x{others:x}.");
            }
        }

        for (int i = 0; i < options.Accesses; i++)
        {
            int seed = random.Next();
            ulong mine = Step(new Random(seed), ulong.MaxValue), others = other.Step(new Random(seed), ulong.MaxValue);
            if (mine != others || _last != other._last)
            {
                throw new DeviceConformanceException(
                    $"Device '{id}' is not as it was {when}: step {i} was {_last} and gave 0x{mine:x}, in the copy {other._last} and 0x{others:x}.");
            }
        }
    }

    /// <summary>Accesses ranges that a device has or had.</summary>
    public void Access(IReadOnlyList<DeviceClaim> claims, Random random)
    {
        DeviceClaim[] ordered = [.. InOrder(claims)];
        for (int i = 0; i < AccessesOfStranger && ordered.Length > 0; i++)
        {
            Access(ordered, random);
        }
    }

    /// <summary>Every register that the device has, as far as its ranges are not longer than registers are.</summary>
    private IEnumerable<(string Access, ulong Value)> ReadAll()
    {
        if (sandbox.Devices.Find(id) is not { } device)
        {
            yield break;
        }

        foreach (DeviceClaim claim in InOrder(sandbox.GetClaims(device)))
        {
            ulong step = claim.Space == AddressSpaceKind.Memory ? sizeof(uint) : 1UL;
            for (ulong address = claim.Start; address < claim.Start + Math.Min(claim.Length, LongestRead); address += step)
            {
                ulong value = claim.Space switch
                {
                    AddressSpaceKind.Memory => sandbox.ReadMemory(address, sizeof(uint)),
                    AddressSpaceKind.Ports => sandbox.ReadPort((ushort)address, 1),
                    _ => sandbox.TryReadMsr((uint)address, out ulong msr) ? msr : 0,
                };
                yield return ($"a read of {claim.Space} 0x{address:x}", value);
            }
        }
    }

    private void Run(Random random, ulong end, int steps)
    {
        for (int i = 0; i < steps; i++)
        {
            Step(random, end);
        }
    }

    private ulong Step(Random random, ulong end)
    {
        switch (random.Next(12))
        {
            case 0:
                ulong time = Math.Min((ulong)random.NextInt64((long)LongestPause), end - Math.Min(end, sandbox.Clock.Nanoseconds));
                sandbox.Advance(time);
                return Told($"a pause of {time} ns", (ulong)sandbox.ArmedTimers.Count);
            case 1:
                return Told("an interrupt's acknowledge", (ulong)sandbox.Processors[0].AcknowledgeInterrupt());
            case 2 when options.Act is { } act:
                act(sandbox, _device, random);
                return Told("the test's own act", 0);
            case 3 or 4 when _device is PciFunction function:
                return AccessConfig(function, random);
            default:
                IReadOnlyList<IMachineDevice> devices = sandbox.Devices.Attached;
                IMachineDevice target = everywhere && random.Next(4) == 0 ? devices[random.Next(devices.Count)] : _device;
                DeviceClaim[] claims = [.. InOrder(sandbox.GetClaims(target))];
                return claims.Length == 0 ? Told("no access", 0) : Access(claims, random);
        }
    }

    private ulong AccessConfig(PciFunction function, Random random)
    {
        int size = 1 << random.Next(3);
        int offset = random.Next(256) & -size;

        // Decoding is on most of the time.
        (int Offset, int Size, uint Value) write = random.Next(3) switch
        {
            0 => (4, 2, 7u),
            1 => (offset, size, (uint)Value(random)),
            _ => (0x3C, 1, (uint)random.Next(256)),
        };
        function.WriteConfig(write.Offset, write.Size, write.Value);
        return Told($"a write of 0x{write.Value:x} to configuration register 0x{write.Offset:x}", function.ReadConfig(offset, size));
    }

    private ulong Access(DeviceClaim[] claims, Random random)
    {
        DeviceClaim claim = claims[random.Next(claims.Length)];
        int size = 1 << random.Next(claim.Space == AddressSpaceKind.Memory ? 4 : 3);

        // Registers stand at the start of a range, and often 16 bytes apart.
        ulong offset = random.Next(3) switch
        {
            0 => (ulong)random.NextInt64((long)claim.Length),
            1 => (ulong)random.NextInt64((long)Math.Min(claim.Length, 64)),
            _ => (ulong)random.NextInt64((long)Math.Min(claim.Length, 1024)) & ~15UL,
        };
        offset = claim.Space == AddressSpaceKind.Msrs ? offset : offset & ~(ulong)(size - 1);
        ulong address = claim.Start + offset;
        bool writes = random.Next(2) == 0;
        ulong value = Value(random);
        return (claim.Space, writes) switch
        {
            (AddressSpaceKind.Memory, true) => Told(Write(() => sandbox.WriteMemory(address, size, value)), 0),
            (AddressSpaceKind.Memory, false) => Told(Read(), sandbox.ReadMemory(address, size)),
            (AddressSpaceKind.Ports, true) => Told(Write(() => sandbox.WritePort((ushort)address, Math.Min(size, 4), value)), 0),
            (AddressSpaceKind.Ports, false) => Told(Read(), sandbox.ReadPort((ushort)address, Math.Min(size, 4))),
            (_, true) => Told(Write(() => { }), sandbox.TryWriteMsr((uint)address, value) ? 1UL : 0),
            _ => Told(Read(), sandbox.TryReadMsr((uint)address, out ulong read) ? read : 0xDEAD),
        };

        string Write(Action write)
        {
            write();
            return $"a write of 0x{value:x} ({size} bytes) to {claim.Space} 0x{address:x}";
        }

        string Read() => $"a read of {size} bytes from {claim.Space} 0x{address:x}";
    }

    // Small numbers, single bits and extremes hit more than evenly spread ones.
    private static ulong Value(Random random) => random.Next(4) switch
    {
        0 => (ulong)random.Next(256),
        1 => 1UL << random.Next(64),
        2 => ulong.MaxValue << random.Next(64),
        _ => (ulong)random.NextInt64(),
    };

    private ulong Told(string what, ulong result)
    {
        _last = what;
        return result;
    }
}
