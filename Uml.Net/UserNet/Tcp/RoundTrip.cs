namespace Uml.Net.UserNet.Tcp;

/// <summary>The time to a retransmission, from the time of round trips (RFC 6298). In milliseconds.</summary>
internal sealed class RoundTrip(int minimum, int maximum)
{
    /// <summary>RFC 6298, 2.1.</summary>
    private const int Initial = 1000;

    /// <summary>Parts of a millisecond that the averages are kept in.</summary>
    private const int Scale = 8;

    private int _smoothed = -1, _variation, _base = Math.Max(minimum, Initial), _shift;

    /// <summary>The time to the next retransmission.</summary>
    public int Timeout => (int)Math.Min((long)_base << _shift, maximum);

    /// <summary>A round trip has taken this long (RFC 6298, 2.2 and 2.3).</summary>
    public void Add(long elapsed)
    {
        int sample = (int)Math.Clamp(elapsed, 0, maximum) * Scale;
        if (_smoothed < 0)
        {
            (_smoothed, _variation) = (sample, sample / 2);
        }
        else
        {
            _variation += (Math.Abs(_smoothed - sample) - _variation) / 4;
            _smoothed += (sample - _smoothed) / 8;
        }

        _base = Math.Clamp((_smoothed + Math.Max(Scale, 4 * _variation)) / Scale, minimum, maximum);
        _shift = 0;
    }

    /// <summary>There was no answer in time (RFC 6298, 5.5).</summary>
    public void BackOff() => _shift = Math.Min(_shift + 1, 16);

    /// <summary>The peer has acknowledged something new.</summary>
    public void ResetBackOff() => _shift = 0;
}
