using Uml.Core.Bus;
using Uml.Core.Machine;
using Uml.Core.Memory;
using Uml.Core.Sandbox;
using Uml.Core.Snapshots;
using Uml.Devices.Pci;

namespace Uml.Hosting.Testing;

/// <summary>
/// Tests the contract of every device of a machine: its saved state is complete and is restored in another machine, a reset is like
/// power-on, it can be unplugged and plugged in again, and no saved state from an untrusted source does harm.
/// </summary>
/// <remarks>
/// Machines are composed over and over, and a guest of random accesses drives the device that is tested, from a seed, so that a failure
/// repeats. Wrapped by a test of any framework:
/// <code>
/// var conformance = new DeviceConformance(builder => builder.AddStandardBoard());
/// foreach (string id in conformance.GetDeviceIds())
/// {
///     conformance.Check(id);
/// }
/// </code>
/// </remarks>
/// <param name="compose">
/// Composes the machine, with devices of its own each time. Its console channels have no input, and its clock is virtual.
/// </param>
/// <param name="options">How it is tested; null for the defaults.</param>
public sealed class DeviceConformance(Action<VirtualMachineBuilder> compose, DeviceConformanceOptions? options = null)
{
    private const int MostTruncations = 300, Mutations = 200;

    private readonly DeviceConformanceOptions _options = options ?? new DeviceConformanceOptions();

    /// <summary>The devices of the machine.</summary>
    public IReadOnlyList<string> GetDeviceIds()
    {
        using DeviceSandbox sandbox = Create();
        return [.. sandbox.Devices.Attached.Select(device => device.Id)];
    }

    /// <summary>All checks of one device.</summary>
    /// <param name="id">The device.</param>
    /// <exception cref="DeviceConformanceException">The device breaks its contract; the message says how.</exception>
    public void Check(string id)
    {
        CheckRestore(id);
        CheckReset(id);
        CheckDetach(id);
        CheckDamagedState(id);
    }

    /// <summary>
    /// The state of a machine whose device was changed is restored in another one, whose device was changed differently: then both save the
    /// same state, and a guest cannot distinguish them.
    /// </summary>
    /// <param name="id">The device.</param>
    /// <exception cref="DeviceConformanceException">The device breaks its contract; the message says how.</exception>
    public void CheckRestore(string id)
    {
        using DeviceSandbox original = Create();
        SandboxGuest guest = new(original, id, _options, everywhere: true);
        guest.Run(new Random(_options.Seed), ulong.MaxValue);
        Dictionary<string, byte[]> saved = Save(original);
        Compare("saving changed its state", saved, Save(original));

        using DeviceSandbox copy = Create();
        SandboxGuest other = new(copy, id, _options, everywhere: true);
        other.Run(new Random(_options.Seed + 1), original.Clock.Nanoseconds);
        copy.Advance(original.Clock.Nanoseconds - copy.Clock.Nanoseconds);
        CopyMemory(original, copy);
        foreach (IMachineDevice device in copy.Devices.Attached)
        {
            DeviceState.Restore(device, saved[device.Id]);
        }

        Compare("what it saves after a restore is not what was restored", saved, Save(copy));
        CompareClaims(id, "after a restore it has other addresses", original, copy);
        _options.Restored?.Invoke(original, copy);
        guest.RunBeside(other, new Random(_options.Seed + 2), "after a restore");
        Compare("after a restore it goes on otherwise", Save(original), Save(copy));
        CompareMemory(id, original, copy);
    }

    /// <summary>After a reset of the machine its device is as one of a new machine.</summary>
    /// <param name="id">The device.</param>
    /// <exception cref="DeviceConformanceException">The device breaks its contract; the message says how.</exception>
    public void CheckReset(string id)
    {
        using DeviceSandbox sandbox = Create();
        new SandboxGuest(sandbox, id, _options).Run(new Random(_options.Seed), ulong.MaxValue);
        sandbox.Reset();
        Dictionary<string, byte[]> reset = Save(sandbox);
        sandbox.Reset();
        Compare("a second reset changes what the first one left", reset, Save(sandbox));
        using DeviceSandbox fresh = Create(sandbox.Clock.Nanoseconds);
        Compare("after a reset it is not as after power-on", Without(_options.KeptAcrossReset, Save(fresh)), reset);
        CompareClaims(id, "after a reset it has other addresses than after power-on", fresh, sandbox);
        if (!_options.KeptAcrossReset.Contains(id))
        {
            CopyMemory(sandbox, fresh);
            new SandboxGuest(fresh, id, _options).RunBeside(new SandboxGuest(sandbox, id, _options), new Random(_options.Seed + 1), "after a reset");
        }
    }

    /// <summary>A device that is unplugged leaves its addresses free and does nothing more; plugged in again it is as a new one.</summary>
    /// <param name="id">The device.</param>
    /// <exception cref="DeviceConformanceException">The device breaks its contract; the message says how.</exception>
    public void CheckDetach(string id)
    {
        using DeviceSandbox sandbox = Create();
        IMachineDevice device = Find(sandbox, id);
        SandboxGuest guest = new(sandbox, id, _options);
        guest.Run(new Random(_options.Seed), ulong.MaxValue);
        IReadOnlyList<DeviceClaim> claims = sandbox.GetClaims(device);

        // Devices on a bus are detached before it, and attached after it.
        IMachineDevice[] dependents = device is IPciBus ? [.. sandbox.Devices.Attached.Where(other => other is PciFunction)] : [];
        Array.ForEach(dependents, sandbox.Devices.Detach);
        sandbox.Devices.Detach(device);
        Claimant claimant = new(claims);
        try
        {
            sandbox.Devices.Attach(claimant);
        }
        catch (ArgumentException e)
        {
            throw new DeviceConformanceException($"Device '{id}' is detached and still has addresses: {e.Message}", e);
        }

        sandbox.Devices.Detach(claimant);
        foreach (DeviceClaim claim in claims)
        {
            TryAttachBeside(sandbox, device, claim);
        }

        if (sandbox.Devices.Attached is [var other, ..])
        {
            new SandboxGuest(sandbox, other.Id, _options, everywhere: true).Run(new Random(_options.Seed), ulong.MaxValue);
            sandbox.Reset();
        }

        guest.Access(claims, new Random(_options.Seed));
        sandbox.Advance(1_000_000_000);
        sandbox.Devices.Attach(device);
        Array.ForEach(dependents, sandbox.Devices.Attach);
        if (!_options.KeptAcrossReset.Contains(id))
        {
            using DeviceSandbox fresh = Create(sandbox.Clock.Nanoseconds);
            Compare("plugged in again it is not as a new one", Only(id, Save(fresh)), Save(sandbox));
            CompareClaims(id, "plugged in again it has other addresses than a new one", fresh, sandbox);
        }

        guest.Run(new Random(_options.Seed + 1), ulong.MaxValue);
    }

    /// <summary>A state that is truncated, prolonged, of another version or damaged is refused or does no harm.</summary>
    /// <param name="id">The device.</param>
    /// <exception cref="DeviceConformanceException">The device breaks its contract; the message says how.</exception>
    public void CheckDamagedState(string id)
    {
        using DeviceSandbox sandbox = Create();
        IMachineDevice device = Find(sandbox, id);
        SandboxGuest guest = new(sandbox, id, _options);
        guest.Run(new Random(_options.Seed), ulong.MaxValue);
        byte[] state = DeviceState.Save(device);
        for (int length = 0; length < state.Length; length += 1 + (state.Length / MostTruncations))
        {
            Refuse(device, $"the first {length} of {state.Length} bytes", state[..length]);
        }

        Refuse(device, "a state with a byte too many", [.. state, 0]);
        Refuse(device, "the version 65535", [0xFF, 0xFF, .. state[2..]]);
        Random random = new(_options.Seed);
        for (int i = 0; i < Mutations; i++)
        {
            byte[] damaged = [.. state];
            for (int changes = random.Next(1, 8); changes > 0; changes--)
            {
                Damage(damaged, random);
            }

            // What was refused has to be reset, as the contract says; with what was taken the guest goes on.
            if (!TryRestore(device, $"damage {i}", damaged))
            {
                sandbox.Reset();
            }

            guest.RunBriefly(random);
        }

        sandbox.Reset();
        guest.Run(random, ulong.MaxValue);
    }

    /// <summary>Expects that a device refuses a state.</summary>
    private static void Refuse(IMachineDevice device, string what, byte[] state)
    {
        if (TryRestore(device, what, state))
        {
            throw new DeviceConformanceException($"Device '{device.Id}' took {what} for its state.");
        }
    }

    /// <returns>Whether the device took the state; false when it refused it as the contract says.</returns>
    private static bool TryRestore(IMachineDevice device, string what, byte[] state)
    {
        try
        {
            DeviceState.Restore(device, state);
            return true;
        }
        catch (StateFormatException)
        {
            return false;
        }
        catch (Exception e) when (e is not DeviceConformanceException)
        {
            throw new DeviceConformanceException(
                $"Device '{device.Id}' threw {e.GetType()} for {what}, not {nameof(StateFormatException)}: {e.Message}", e);
        }
    }

    /// <summary>Changes a byte, or a run of bytes to the least or the largest number.</summary>
    private static void Damage(byte[] state, Random random)
    {
        int start = random.Next(state.Length);
        Span<byte> run = state.AsSpan(start, Math.Min(random.Next(1, 9), state.Length - start));
        switch (random.Next(4))
        {
            case 0:
                run.Clear();
                break;
            case 1:
                run.Fill(byte.MaxValue);
                break;
            default:
                run[0] = (byte)random.Next(256);
                break;
        }
    }

    /// <summary>Plugs a device in where another one has an address of its: what it had taken by then is given back.</summary>
    private static void TryAttachBeside(DeviceSandbox sandbox, IMachineDevice device, DeviceClaim claim)
    {
        Claimant claimant = new([claim]);
        sandbox.Devices.Attach(claimant);
        try
        {
            sandbox.Devices.Attach(device);
            sandbox.Devices.Detach(device);
        }
        catch (ArgumentException)
        {
            // As the bus says it.
        }

        sandbox.Devices.Detach(claimant);
    }

    private DeviceSandbox Create(ulong nanoseconds = 0) => new(compose, new DeviceSandboxOptions { StartNanoseconds = nanoseconds });

    private static IMachineDevice Find(DeviceSandbox sandbox, string id) =>
        sandbox.Devices.Find(id) ?? throw new ArgumentException($"The machine has no device '{id}'.", nameof(id));

    private static Dictionary<string, byte[]> Save(DeviceSandbox sandbox)
    {
        try
        {
            return sandbox.Devices.Attached.ToDictionary(device => device.Id, DeviceState.Save);
        }
        catch (InvalidOperationException e)
        {
            throw new DeviceConformanceException(e.Message, e);
        }
    }

    private static Dictionary<string, byte[]> Without(ISet<string> ids, Dictionary<string, byte[]> states) =>
        states.Where(state => !ids.Contains(state.Key)).ToDictionary();

    private static Dictionary<string, byte[]> Only(string id, Dictionary<string, byte[]> states) => new() { [id] = states[id] };

    private static void Compare(string problem, Dictionary<string, byte[]> expected, Dictionary<string, byte[]> actual)
    {
        foreach ((string id, byte[] state) in expected)
        {
            int same = state.AsSpan().CommonPrefixLength(actual[id]);
            if (same != state.Length || same != actual[id].Length)
            {
                throw new DeviceConformanceException(
                    $"Device '{id}': {problem}; the states, of {state.Length} and {actual[id].Length} bytes, differ from byte {same} on: "
                    + $"{Convert.ToHexString(state.AsSpan(same, Math.Min(8, state.Length - same)))} and "
                    + $"{Convert.ToHexString(actual[id].AsSpan(same, Math.Min(8, actual[id].Length - same)))}.");
            }
        }
    }

    private static void CompareClaims(string id, string problem, DeviceSandbox expected, DeviceSandbox actual)
    {
        string wanted = Describe(expected), found = Describe(actual);
        if (wanted != found)
        {
            throw new DeviceConformanceException($"Device '{id}': {problem}: {wanted} and {found}.");
        }

        string Describe(DeviceSandbox sandbox) => string.Join(", ", SandboxGuest.InOrder(sandbox.GetClaims(Find(sandbox, id))));
    }

    private static void CopyMemory(DeviceSandbox from, DeviceSandbox to)
    {
        foreach (GuestMemoryRange range in from.Memory.Ranges)
        {
            if (!to.Memory.TryWrite(range.Start, Read(from, range)))
            {
                throw new InvalidOperationException("The machines are not composed alike: one has more memory.");
            }
        }
    }

    private static void CompareMemory(string id, DeviceSandbox expected, DeviceSandbox actual)
    {
        foreach (GuestMemoryRange range in expected.Memory.Ranges)
        {
            if (!Read(expected, range).AsSpan().SequenceEqual(Read(actual, range)))
            {
                throw new DeviceConformanceException($"Device '{id}' writes other memory after a restore.");
            }
        }
    }

    private static byte[] Read(DeviceSandbox sandbox, GuestMemoryRange range)
    {
        byte[] bytes = new byte[range.Length];
        return sandbox.Memory.TryRead(range.Start, bytes)
            ? bytes
            : throw new InvalidOperationException("The machines are not composed alike: one has more memory.");
    }

    /// <summary>Claims what another device had.</summary>
    private sealed class Claimant(IReadOnlyList<DeviceClaim> claims) : StatelessDevice("conformance.claimant"), IBusDevice, IMsrDevice
    {
        public override void Attach(IMachineContext machine)
        {
            ArgumentNullException.ThrowIfNull(machine);
            foreach (DeviceClaim claim in claims)
            {
                _ = claim.Space switch
                {
                    AddressSpaceKind.Memory => machine.Bus.MapMemory(new(claim.Start), claim.Length, this),
                    AddressSpaceKind.Ports => machine.Bus.MapPorts((ushort)claim.Start, (int)claim.Length, this),
                    _ => machine.Bus.MapMsrs((uint)claim.Start, (uint)claim.Length, this),
                };
            }
        }

        public ulong Read(IProcessor processor, ulong offset, int size) => ulong.MaxValue;

        public void Write(IProcessor processor, ulong offset, int size, ulong value)
        {
        }

        public bool TryReadMsr(IProcessor processor, uint index, out ulong value)
        {
            value = 0;
            return false;
        }

        public bool TryWriteMsr(IProcessor processor, uint index, ulong value) => false;
    }
}
