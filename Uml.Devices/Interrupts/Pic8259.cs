using System.Numerics;
using Uml.Core.Snapshots;

namespace Uml.Devices.Interrupts;

/// <summary>
/// One 8259A programmable interrupt controller (Intel 8259A data sheet, 231468) as PC chip sets have it: 8086 mode, and a trigger mode for
/// each input (ELCR) in the place of LTIM (Intel ICH10 data sheet, 13.4).
/// </summary>
/// <remarks>
/// The cascade of the two is fixed, so ICW3 is accepted and ignored. Until firmware's usual vectors are replaced by an ICW2, all inputs are
/// masked.
/// </remarks>
/// <param name="vectorBase">The first of the eight vectors, at first.</param>
/// <param name="slaves">The inputs with a slave behind: they follow its output.</param>
/// <param name="programmable">The inputs whose trigger mode the guest chooses.</param>
internal sealed class Pic8259(byte vectorBase, byte slaves, byte programmable) : IStateful
{
    /// <summary>The level of an acknowledge without a request (data sheet, "Edge and level triggered modes").</summary>
    public const int SpuriousLevel = 7;

    private const int InputCount = 8;

    // Which bits the data sheet's figures 7 and 8 name.
    private const byte Icw1Selected = 1 << 4, Icw1Single = 1 << 1, Icw1NeedsIcw4 = 1 << 0;
    private const byte Icw4SpecialFullyNested = 1 << 4, Icw4AutomaticEnd = 1 << 1;
    private const byte Ocw3Selected = 1 << 3, Ocw3SetsSpecialMask = 1 << 6, Ocw3SpecialMask = 1 << 5, Ocw3Polls = 1 << 2;
    private const byte Ocw3SetsRead = 1 << 1, Ocw3ReadsInService = 1 << 0;
    private const byte PollRequest = 1 << 7;

    private byte _lines;
    private byte _edges;
    private byte _levelTriggered;
    private byte _inService;
    private byte _mask = byte.MaxValue;
    private readonly byte _firstVectorBase = vectorBase;
    private byte _vectorBase = vectorBase;
    private int _lowestPriority = InputCount - 1;
    private Word _expected = Word.Operation;
    private bool _isSingle;
    private bool _needsIcw4;
    private bool _automaticEnd;
    private bool _rotatesAtAutomaticEnd;
    private bool _specialFullyNested;
    private bool _specialMask;
    private bool _readsInService;
    private bool _polls;

    /// <summary>The meaning of the next write to the odd address.</summary>
    private enum Word
    {
        Operation,
        Icw2,
        Icw3,
        Icw4,
    }

    /// <summary>Inputs that are level-triggered, one bit each (ELCR).</summary>
    public byte LevelTriggered
    {
        get => _levelTriggered;
        set => _levelTriggered = (byte)(value & programmable);
    }

    /// <summary>The INT output.</summary>
    public bool IsRequesting => FindRequest() >= 0;

    // An input that goes low before it is acknowledged requests nothing any more (data sheet, "Edge and level triggered modes").
    private byte Requests => (byte)(_lines & (_edges | _levelTriggered | slaves));

    /// <summary>The state after power-on; levels of inputs are for those that drive them to reset.</summary>
    public void Reset()
    {
        _edges = _lines;
        _levelTriggered = _inService = 0;
        _mask = byte.MaxValue;
        _vectorBase = _firstVectorBase;
        _lowestPriority = InputCount - 1;
        _expected = Word.Operation;
        _isSingle = _needsIcw4 = _automaticEnd = _rotatesAtAutomaticEnd = _specialFullyNested = _specialMask = _readsInService = _polls = false;
    }

    /// <inheritdoc/>
    public void SaveState(StateWriter state)
    {
        state.Write([_lines, _edges, _levelTriggered, _inService, _mask, _vectorBase, (byte)_lowestPriority, (byte)_expected]);
        foreach (bool flag in (ReadOnlySpan<bool>)
            [_isSingle, _needsIcw4, _automaticEnd, _rotatesAtAutomaticEnd, _specialFullyNested, _specialMask, _readsInService, _polls])
        {
            state.Write(flag);
        }
    }

    /// <inheritdoc/>
    public void RestoreState(StateReader state)
    {
        _lines = state.ReadByte();
        _edges = state.ReadByte();
        LevelTriggered = state.ReadByte();
        _inService = state.ReadByte();
        _mask = state.ReadByte();
        _vectorBase = state.ReadByte();
        _lowestPriority = state.ReadByte(maximum: InputCount - 1);
        _expected = (Word)state.ReadByte(maximum: (byte)Word.Icw4);
        _isSingle = state.ReadBoolean();
        _needsIcw4 = state.ReadBoolean();
        _automaticEnd = state.ReadBoolean();
        _rotatesAtAutomaticEnd = state.ReadBoolean();
        _specialFullyNested = state.ReadBoolean();
        _specialMask = state.ReadBoolean();
        _readsInService = state.ReadBoolean();
        _polls = state.ReadBoolean();
    }

    /// <summary>Whether a rise of an input would have an effect: the input is not masked, and no earlier rise is pending.</summary>
    public bool AwaitsEdge(int input) => ((_mask | _edges) & (1 << input)) == 0;

    /// <summary>Drives an input.</summary>
    public void SetLine(int input, bool asserted)
    {
        byte bit = (byte)(1 << input);
        if (!asserted)
        {
            _lines &= (byte)~bit;
            _edges &= (byte)~bit;
        }
        else if ((_lines & bit) == 0)
        {
            _lines |= bit;
            _edges |= bit;
        }
    }

    /// <summary>The first INTA cycle: takes the request of the highest priority into service.</summary>
    /// <returns>The input, or -1 when nothing requests.</returns>
    public int Acknowledge()
    {
        int input = FindRequest();
        if (input < 0)
        {
            return -1;
        }

        _edges &= (byte)~(1 << input);
        if (!_automaticEnd)
        {
            _inService |= (byte)(1 << input);
        }
        else if (_rotatesAtAutomaticEnd)
        {
            _lowestPriority = input;
        }

        return input;
    }

    /// <summary>The second INTA cycle: the vector of an input that was acknowledged.</summary>
    public byte GetVector(int input) => (byte)(_vectorBase | (input < 0 ? SpuriousLevel : input));

    /// <summary>Reads the register at the even or the odd address.</summary>
    public byte Read(bool isOdd)
    {
        if (_polls)
        {
            // The next read after a poll command is the acknowledge (data sheet, "Poll command").
            _polls = false;
            int input = Acknowledge();
            return (byte)(input < 0 ? 0 : PollRequest | input);
        }

        return isOdd ? _mask : _readsInService ? _inService : Requests;
    }

    /// <summary>Writes a command or, at the odd address, the command word that is expected next.</summary>
    public void Write(bool isOdd, byte value)
    {
        if (isOdd)
        {
            WriteData(value);
        }
        else if ((value & Icw1Selected) != 0)
        {
            Initialize(value);
        }
        else if ((value & Ocw3Selected) != 0)
        {
            WriteOcw3(value);
        }
        else
        {
            WriteOcw2(command: value >> 5, level: value & (InputCount - 1));
        }
    }

    // Data sheet, "Initialization command words 1 and 2". Guests that initialize the controller again rely on it clearing the in-service
    // register.
    private void Initialize(byte icw1)
    {
        _edges = 0;
        _mask = 0;
        _inService = 0;
        _lowestPriority = InputCount - 1;
        _specialMask = _readsInService = _polls = _rotatesAtAutomaticEnd = false;
        _isSingle = (icw1 & Icw1Single) != 0;
        _needsIcw4 = (icw1 & Icw1NeedsIcw4) != 0;
        if (!_needsIcw4)
        {
            _automaticEnd = _specialFullyNested = false;
        }

        _expected = Word.Icw2;
    }

    private void WriteData(byte value)
    {
        switch (_expected)
        {
            case Word.Icw2:
                _vectorBase = (byte)(value & ~(InputCount - 1));
                _expected = _isSingle ? AfterCascade : Word.Icw3;
                break;
            case Word.Icw3:
                _expected = AfterCascade;
                break;
            case Word.Icw4:
                _specialFullyNested = (value & Icw4SpecialFullyNested) != 0;
                _automaticEnd = (value & Icw4AutomaticEnd) != 0;
                _expected = Word.Operation;
                break;
            default:
                _mask = value;
                break;
        }
    }

    private Word AfterCascade => _needsIcw4 ? Word.Icw4 : Word.Operation;

    // Rotate, specific and end-of-interrupt bits, in this order (data sheet, figure 8).
    private void WriteOcw2(int command, int level)
    {
        switch (command)
        {
            case 0b000:
            case 0b100:
                _rotatesAtAutomaticEnd = command == 0b100;
                break;
            case 0b001:
            case 0b101:
                End(FindServiced(ignoresMasked: _specialMask), rotates: command == 0b101);
                break;
            case 0b011:
            case 0b111:
                End(level, rotates: command == 0b111);
                break;
            case 0b110:
                _lowestPriority = level;
                break;
        }
    }

    private void WriteOcw3(byte value)
    {
        if ((value & Ocw3SetsSpecialMask) != 0)
        {
            _specialMask = (value & Ocw3SpecialMask) != 0;
        }

        if ((value & Ocw3SetsRead) != 0)
        {
            _readsInService = (value & Ocw3ReadsInService) != 0;
        }

        _polls = (value & Ocw3Polls) != 0;
    }

    private void End(int input, bool rotates)
    {
        if (input < 0)
        {
            return;
        }

        _inService &= (byte)~(1 << input);
        if (rotates)
        {
            _lowestPriority = input;
        }
    }

    private int FindRequest()
    {
        if (_expected != Word.Operation)
        {
            return -1;
        }

        int request = FindHighest(Requests & ~_mask);
        int serviced = FindServiced(ignoresMasked: _specialMask);
        if (request < 0 || serviced < 0 || Rank(request) < Rank(serviced))
        {
            return request;
        }

        // In the special fully nested mode a slave in service may request a further interrupt.
        return _specialFullyNested && request == serviced && (slaves & (1 << request)) != 0 ? request : -1;
    }

    // In the special mask mode, a masked input that is in service inhibits nothing and is not ended by a non-specific end of interrupt
    // (data sheet, "Special mask mode" and "End of interrupt").
    private int FindServiced(bool ignoresMasked) => FindHighest(ignoresMasked ? _inService & ~_mask : _inService);

    // The input behind the one of the lowest priority has the highest.
    private int Rank(int input) => (input - _lowestPriority - 1) & (InputCount - 1);

    private int FindHighest(int inputs)
    {
        if (inputs == 0)
        {
            return -1;
        }

        int first = (_lowestPriority + 1) & (InputCount - 1);
        int rank = BitOperations.TrailingZeroCount((inputs | (inputs << InputCount)) >> first);
        return (rank + first) & (InputCount - 1);
    }
}
